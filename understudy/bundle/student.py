"""The exported student, layer by layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from understudy.bundle.manifest import StudentInfo
from understudy.bundle.reader import Files, files_of
from understudy.bundle.sessions import Network

INPUT_FILE = "student/input.onnx"
WHOLE_FILE = "student/student.onnx"  # features of a neighbourhood → logits, for other runtimes


def layer_file(number: int) -> str:
    """Names the file of message-passing layer `number`, counted from 1; the last gives logits."""
    return f"student/layer{number}.onnx"


def dense_file(number: int) -> str:
    """Names the file of the same layer for neighbours that are already aggregated."""
    return f"student/dense{number}.onnx"


def project_file(number: int) -> str:
    """Names the file of GAT's layer `number` that projects rows before attention weighs them."""
    return f"student/project{number}.onnx"


def activation_file(number: int) -> str:
    """Names the file of the input activations of layer `number` + 1, float32 [N, hidden].

    The last layer's output is not stored apart from the logits.
    """
    return f"activations/h{number}.npy"


LOGITS_FILE = "activations/logits.npy"  # float32 [N, classes]


@dataclass(frozen=True, slots=True)
class AttentionParts:
    """A GAT layer as two networks, see `understudy.graph.layers.attention`."""

    project: Network
    finish: Network


@dataclass(frozen=True, slots=True)
class AttentionLayer:
    """A gathering layer, with the parts for a host that computes the attention sum itself."""

    gather: Network
    attention: AttentionParts

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.gather.inputs

    def __call__(self, feeds: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
        return self.gather(feeds)


@dataclass(frozen=True, slots=True)
class StudentNetwork:
    """Features → h0 through `input`; h(l-1) → h(l) through `layers[l - 1]`, the last → logits.

    `input` reads x (float32 [B, dimension]) or, with the hashing encoder, buckets (int64 [B, K])
    and weights (float32 [B, K]). A layer reads h, table, index, weight and self_weight,
    or h and aggregated, as `understudy.graph.layers.propagation.propagate` feeds them.
    """

    input: Network
    layers: tuple[Network | AttentionLayer, ...]


def variant_folder(precision: str) -> str:
    """Names the folder of the same files in another precision: fp16 or int8."""
    return f"student-{precision}"


def open_student(
    source: Files | Path, info: StudentInfo, threads: int, provider: str, precision: str = "fp32"
) -> StudentNetwork:
    """Opens the student's files; see `Network` for the errors.

    Args:
        source: a bundle, of which only files that its manifest lists are opened, or the path of a
            folder that is being written.

    Raises:
        BundleDamagedError: the bundle's manifest does not list a file.
    """
    files = files_of(source)
    prefix = "" if precision == "fp32" else f"{variant_folder(precision)}/"
    return StudentNetwork(
        Network(files.path(prefix + INPUT_FILE), threads, provider),
        tuple(
            open_layer(files, prefix, number + 1, threads, provider)
            for number in range(info.layers)
        ),
    )


def open_layer(
    files: Files, prefix: str, number: int, threads: int, provider: str
) -> Network | AttentionLayer:
    """Opens the fastest form of a layer: dense on a CPU if available, otherwise gathering.

    A GPU gathers itself, so that the activations can stay in its memory.
    """
    layer, dense, project = (
        prefix + name(number) for name in (layer_file, dense_file, project_file)
    )
    if provider != "cpu" or not files.holds(dense):
        return Network(files.path(layer), threads, provider)
    finish = Network(files.path(dense), threads, provider)
    if not files.holds(project):
        return finish
    parts = AttentionParts(Network(files.path(project), threads, provider), finish)
    return AttentionLayer(Network(files.path(layer), threads, provider), parts)
