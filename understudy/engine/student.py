"""The student on unseen nodes: text in, logits out."""

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
    """The student's output for unseen nodes, and the time it took.

    Shapes:
        logits: float32 [B, classes], finite
        hidden: float32 [B, hidden], the input of the last layer
    """

    logits: NDArray[np.float32]
    hidden: NDArray[np.float32]
    encode_ms: float
    inference_ms: float


@dataclass(frozen=True, slots=True)
class Student:
    """The text encoder, the message-passing layers, and the weighting of neighbours."""

    text_input: TextInput
    layers: tuple[Layer, ...]
    weighting: Weighting

    def infer(self, state: GraphState, nodes: Sequence[UnseenNode]) -> Inference:
        """Runs nodes as one batch: text → h0, then every layer over the stored activations.

        Args:
            state: the state that resolved the nodes.

        Raises:
            InferenceError: a neighbour's row is outside the tables, or the networks failed.
        """
        started = perf_counter()
        try:
            h = self.read([node.text for node in nodes])
            encoded = perf_counter()
            near = [node.neighbors for node in nodes]
            hidden, logits = self.propagate_unseen(state, h, near)
        except InferenceError:
            raise
        except Exception as error:  # onnxruntime's errors share no narrower base class
            raise InferenceError("the student's networks failed") from error
        finished = perf_counter()
        if logits.shape != (len(nodes), state.tables.logits.width) or not np.isfinite(logits).all():
            raise InferenceError("the student gave no finite score for every label")
        return Inference(logits, hidden, 1_000 * (encoded - started), 1_000 * (finished - encoded))

    def read(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encodes texts to h0, float32 [B, hidden]; repeated texts are encoded once."""
        place = {text: position for position, text in enumerate(dict.fromkeys(texts))}
        if len(place) == len(texts):
            return self.text_input(texts)
        return self.text_input(list(place))[[place[text] for text in texts]]

    def propagate_unseen(
        self, state: GraphState, h: NDArray[np.float32], neighbors: Sequence[NDArray[np.int64]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Runs the layers on h0 [B, hidden] of unseen nodes.

        Returns the input of the last layer, float32 [B, hidden], and the logits, [B, classes].

        Raises:
            InferenceError: a neighbour is outside the tables.
        """
        near = state.graph.unseen_neighborhoods(neighbors)
        check_indices(near.indices, state.graph.num_rows)
        gathered = Gathered(near, self.weighting)
        below = h
        for number, layer in enumerate(self.layers):
            table = state.tables.activations[number].take(state.graph.version, gathered.rows)
            below, h = h, gathered.run(layer, h, table)
        return below, h


def check_indices(indices: NDArray[np.int64], rows: int) -> None:
    """Refuses a row outside the tables: on CUDA, gathering it would corrupt memory."""
    # One pass checks both bounds: as an unsigned number, a negative row exceeds all others.
    if len(indices) and int(indices.view(np.uint64).max()) >= rows:
        raise InferenceError("a neighbor's index lies outside the graph")


def load_student(bundle: Bundle, threads: int, provider: str) -> Student:
    """Opens a bundle's student and text encoder.

    Raises:
        BundleMismatchError: this release does not know the weighting or the encoder.
        BundleError: a file is damaged, or the provider does not exist.
    """
    info = bundle.manifest.student
    if info.weighting not in get_args(Weighting):
        raise BundleMismatchError(f"this release does not know the weighting {info.weighting!r}")
    networks = open_student(bundle, info, threads, provider)
    text_input = open_input(bundle, networks.input, threads, provider)
    return Student(text_input, networks.layers, cast(Weighting, info.weighting))
