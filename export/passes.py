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
from understudy.graph.progress import Progress

THREADS = 2  # of onnxruntime, while exporting

Activations = list[NDArray[np.float32]]  # h0 … h(L-1), each [N, hidden], and the logits


@dataclass(frozen=True, slots=True)
class StudentFeatures:
    """What a student's input reads of all nodes.

    Attributes:
        file: that dense ones are mapped from, float32 [N, dimension]; None: texts are hashed
    """

    features: Features
    spec: EncoderSpec
    file: Path | None


class Passes(Protocol):
    """Who computes."""

    def activations(
        self, graph: TextGraph, form: Form, given: StudentFeatures, progress: Progress
    ) -> Activations: ...

    def embeddings(
        self, graph: TextGraph, encoder: WrittenEncoder, file: str, progress: Progress
    ) -> NDArray[np.float32]:
        """Of all texts by a file of the encoder, float32 [N, dimension]."""
        ...


# Of a graph, its folder, and one of the bundle's for what is computed: removed in the end.
PassesElsewhere = Callable[[TextGraph, Path, Path], AbstractContextManager[Passes]]


class LocalPasses:
    """This process."""

    def activations(
        self, graph: TextGraph, form: Form, given: StudentFeatures, progress: Progress
    ) -> Activations:
        network = form.open(THREADS)
        return all_activations(network, given.features, graph.adjacency, form.weighting, progress)

    def embeddings(
        self, graph: TextGraph, encoder: WrittenEncoder, file: str, progress: Progress
    ) -> NDArray[np.float32]:
        return embed(graph, encoder, file, progress)


def given_by(
    graph: TextGraph, spec: EncoderSpec, encoder_path: Path | None, progress: Progress
) -> StudentFeatures:
    """By the encoder that the student was trained with."""
    file = embeddings_file(graph) if spec.kind == "minilm" else None
    return StudentFeatures(graph_features(graph, spec, encoder_path, progress), spec, file)


def given_as_served(
    graph: TextGraph,
    spec: EncoderSpec,
    encoder: WrittenEncoder,
    file: str,
    passes: Passes,
    progress: Progress,
) -> StudentFeatures:
    """By a file of the encoder that is written."""
    values = served_embeddings(graph, encoder, file, progress, passes.embeddings)
    return StudentFeatures(dense_features(values), spec, served_file(graph, encoder, file))


def forgotten(activations: Activations) -> None:
    """Removes the files that activations are mapped from, where they are."""
    for values in activations:
        if isinstance(values, np.memmap) and values.filename is not None:
            Path(values.filename).unlink(missing_ok=True)
