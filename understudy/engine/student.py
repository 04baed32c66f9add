"""The student over nodes that are not stored: text in, logits out."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import cast, get_args

import numpy as np
from numpy.typing import NDArray

from understudy.bundle import Bundle
from understudy.bundle.student import open_student
from understudy.engine.errors import BundleMismatchError, InferenceError
from understudy.engine.gathered import Gathered
from understudy.engine.inputs import TextInput, open_input
from understudy.engine.requests import UnseenNode
from understudy.engine.state import GraphState
from understudy.graph.layers.neighborhoods import Weighting
from understudy.graph.layers.propagation import Layer


@dataclass(frozen=True, slots=True)
class Inference:
    """What the student said about unseen nodes, and how long it took.

    Shapes:
        logits: float32 [B, classes], finite
        hidden: float32 [B, hidden], what the last layer reads of each node
    """

    logits: NDArray[np.float32]
    hidden: NDArray[np.float32]
    encode_ms: float
    inference_ms: float


@dataclass(frozen=True, slots=True)
class Student:
    """The text encoder, the message-passing layers, and how these weigh neighbours."""

    text_input: TextInput
    layers: tuple[Layer, ...]
    weighting: Weighting

    def infer(self, state: GraphState, nodes: Sequence[UnseenNode]) -> Inference:
        """Runs nodes as one batch: text → h0, then every layer over the stored tables.

        Args:
            state: the one that resolved the nodes.

        Raises:
            InferenceError: an index outside the tables, or the networks failed.
        """
        started = perf_counter()
        try:
            h = self.read([node.text for node in nodes])
            encoded = perf_counter()
            near = [node.neighbors for node in nodes]
            hidden, logits = self.propagate_unseen(state, h, near)
        except InferenceError:
            raise
        except Exception as error:  # onnxruntime's own errors share no narrower root
            raise InferenceError("the student's networks failed") from error
        finished = perf_counter()
        if logits.shape != (len(nodes), state.tables.logits.width) or not np.isfinite(logits).all():
            raise InferenceError("the student gave no finite score for every label")
        return Inference(logits, hidden, 1_000 * (encoded - started), 1_000 * (finished - encoded))

    def read(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """h0 of texts, float32 [B, hidden]; one that stands there several times is read once."""
        place = {text: position for position, text in enumerate(dict.fromkeys(texts))}
        if len(place) == len(texts):
            return self.text_input(texts)
        return self.text_input(list(place))[[place[text] for text in texts]]

    def propagate_unseen(
        self, state: GraphState, h: NDArray[np.float32], neighbors: Sequence[NDArray[np.int64]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """h0 [B, hidden] of nodes that are not stored → what the last layer reads, and logits.

        Raises:
            InferenceError: a neighbour outside the tables.
        """
        near = state.graph.unseen_neighborhoods(neighbors)
        check_indices(near.indices, state.graph.num_rows)
        gathered = Gathered(near, self.weighting)
        below = h
        for number, layer in enumerate(self.layers):
            table = state.activations(number, gathered.rows)
            below, h = h, gathered.run(layer, h, table)
        return below, h


def check_indices(indices: NDArray[np.int64], rows: int) -> None:
    """Refuses an index outside the tables: on CUDA, gathering it would corrupt memory."""
    # One pass for both ends: as an unsigned number, a negative one is larger than all.
    if len(indices) and int(indices.view(np.uint64).max()) >= rows:
        raise InferenceError("a neighbor's index lies outside the graph")


def load_student(bundle: Bundle, threads: int, provider: str) -> Student:
    """Opens a bundle's student and text encoder.

    Raises:
        BundleMismatchError: a weighting or an encoder that this release does not know.
        BundleError: a file is damaged, or there is no such provider.
    """
    info = bundle.manifest.student
    if info.weighting not in get_args(Weighting):
        raise BundleMismatchError(f"this release knows no weighting {info.weighting!r}")
    networks = open_student(bundle, info, threads, provider)
    text_input = open_input(bundle, networks.input, threads, provider)
    return Student(text_input, networks.layers, cast(Weighting, info.weighting))
