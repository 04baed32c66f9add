"""The passes over all nodes of a graph, computed by this process or by a cluster."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from export.encoder.files import WrittenEncoder, embed, served_embeddings, served_file
from export.student.activations import all_activations
from export.student.forms import Form
from training.encoders.features import (
    EncoderSpec,
    Features,
    dense_features,
    embeddings_file,
    graph_features,
)
from understudy.graph import TextGraph
from understudy.progress import Progress

THREADS = 2  # of onnxruntime during export

Activations = list[NDArray[np.float32]]  # h0 … h(L-1), each [N, hidden], and the logits


@dataclass(frozen=True, slots=True)
class StudentFeatures:
    """The input features of a student for all nodes.

    Attributes:
        file: that dense features are mapped from, float32 [N, dimension]; None: texts are hashed
    """

    features: Features
    spec: EncoderSpec
    file: Path | None


class Passes(Protocol):
    """The interface of what computes passes over all nodes."""

    def activations(
        self, graph: TextGraph, form: Form, inputs: StudentFeatures, progress: Progress
    ) -> Activations: ...

    def embeddings(
        self, graph: TextGraph, encoder: WrittenEncoder, file: str, progress: Progress
    ) -> NDArray[np.float32]:
        """Embeddings of all texts by one of the encoder's files, float32 [N, dimension]."""
        ...


# Arguments: the graph, its folder, and a temporary folder in the bundle for results.
PassesElsewhere = Callable[[TextGraph, Path, Path], AbstractContextManager[Passes]]


class LocalPasses:
    """Computes passes in this process."""

    def activations(
        self, graph: TextGraph, form: Form, inputs: StudentFeatures, progress: Progress
    ) -> Activations:
        network = form.open(THREADS)
        return all_activations(network, inputs.features, graph.adjacency, form.weighting, progress)

    def embeddings(
        self, graph: TextGraph, encoder: WrittenEncoder, file: str, progress: Progress
    ) -> NDArray[np.float32]:
        return embed(graph, encoder, file, progress)


def student_inputs(
    graph: TextGraph, spec: EncoderSpec, encoder_path: Path | None, progress: Progress
) -> StudentFeatures:
    """The features by the encoder that the student was trained with."""
    file = embeddings_file(graph) if spec.kind == "minilm" else None
    return StudentFeatures(graph_features(graph, spec, encoder_path, progress), spec, file)


def inputs_as_served(
    graph: TextGraph,
    spec: EncoderSpec,
    encoder: WrittenEncoder,
    file: str,
    passes: Passes,
    progress: Progress,
) -> StudentFeatures:
    """The features by one of the written encoder's files."""
    values = served_embeddings(graph, encoder, file, progress, passes.embeddings)
    return StudentFeatures(dense_features(values), spec, served_file(graph, encoder, file))


def forgotten(activations: Activations) -> None:
    """Removes the files that activations are mapped from."""
    for values in activations:
        if isinstance(values, np.memmap) and values.filename is not None:
            Path(values.filename).unlink(missing_ok=True)
