"""Splits a request into stored, unseen and invalid nodes, and makes its predictions.

Stored nodes are found by row, unseen ones are prepared for inference, invalid ones get an error.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from understudy.engine.errors import (
    EmptyTextError,
    IncompleteNodeError,
    InvalidArgumentError,
    NodeError,
    TextTooLongError,
    TooManyNeighborsError,
    UnknownNeighborError,
    UnknownNodeError,
    UnusableTextError,
)
from understudy.engine.limits import Limits
from understudy.engine.state import GraphState
from understudy.graph.missing import is_blank
from understudy.graph.mutable.view import GraphView

if TYPE_CHECKING:  # `student` imports this module
    from understudy.engine.student import Inference

SCORE_DECIMALS = 6
HALF_CHARACTER = re.compile("[\ud800-\udfff]")
Made = TypeVar("Made")  # the type of a prediction


class QueryNode(Protocol):
    """The fields that are read of a requested node; a request's own type may have this shape."""

    @property
    def id(self) -> str | None: ...

    @property
    def text(self) -> str | None: ...

    @property
    def neighbors(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Node:
    """A stored node by its id, or an unseen one by its text and its stored neighbors.

    Attributes:
        id: of a stored node; if there is a text, it is only echoed.
        text: of an unseen node; the first line is its title.
        neighbors: ids of stored nodes that the unseen node is linked to, in any order.
    """

    id: str | None = None
    text: str | None = None
    neighbors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnseenNode:
    """A node that is not stored.

    Shapes:
        neighbors: int64 [degree], distinct rows of the state that resolved them
    """

    text: str
    neighbors: NDArray[np.int64]


class Resolution(Struct):
    """A request's nodes; every position is in exactly one of the three parts."""

    state: GraphState
    stored_positions: list[int] = []
    stored_rows: list[int] = []
    unseen_positions: list[int] = []
    unseen: list[UnseenNode] = []
    errors: dict[int, NodeError] = {}

    @property
    def positions(self) -> list[int]:
        """Positions of all valid nodes, the stored ones first."""
        return [*self.stored_positions, *self.unseen_positions]


def resolve(state: GraphState, nodes: Sequence[QueryNode], limits: Limits) -> Resolution:
    """Looks up ids and checks texts; an invalid node gets an entry of `errors`, no exception."""
    resolution = Resolution(state)
    positions, names = resolution.stored_positions, []
    for position, node in enumerate(nodes):
        try:
            if node.text is not None:
                unseen = unseen_node(state.graph, node.text, node.neighbors, limits)
                resolution.unseen.append(unseen)
                resolution.unseen_positions.append(position)
            elif node.id is None or node.neighbors:
                raise IncompleteNodeError(
                    "a node must be either the id of a stored node, or a text with a list of "
                    "neighbors"
                )
            else:
                positions.append(position)
                names.append(node.id)
        except NodeError as error:
            resolution.errors[position] = error
    graph = state.graph
    # One look-up for all ids, directly in the map: for few ids every call costs.
    rows = graph.parts.rows.get_all(graph.version, names)
    if None in rows:
        for position, name, row in zip(positions, names, rows, strict=True):
            if row is None:
                resolution.errors[position] = UnknownNodeError(name)
        resolution.errors = dict(sorted(resolution.errors.items()))
        positions[:] = [at for at in positions if at not in resolution.errors]
        rows = [row for row in rows if row is not None]
    resolution.stored_rows = cast("list[int]", rows)
    return resolution


def unseen_node(
    graph: GraphView, text: str, neighbors: Sequence[str], limits: Limits
) -> UnseenNode:
    """Checks an unseen node's text and finds its neighbours' rows.

    Raises:
        NodeError: the node is refused.
        TypeError: the text is not a string, or the neighbours are one string instead of a list.
    """
    if not isinstance(text, str) or isinstance(neighbors, str | bytes):
        raise TypeError("an unseen node needs a text and a list of neighbours")
    if len(text) > limits.text_characters:
        raise TextTooLongError(len(text), limits.text_characters)
    if is_blank(text):
        raise EmptyTextError(
            "the text is empty or has no visible character; an unseen node is classified by its "
            "text"
        )
    if not text.isascii() and HALF_CHARACTER.search(text):
        raise UnusableTextError("the text contains half a character (a lone surrogate)")
    if len(neighbors) > limits.neighbors:
        raise TooManyNeighborsError(len(neighbors), limits.neighbors)
    distinct = dict.fromkeys(neighbors)  # an edge given twice is one edge
    rows = graph.rows_of(list(distinct))
    if None in rows:
        raise UnknownNeighborError(
            [name for name, row in zip(distinct, rows, strict=True) if row is None]
        )
    return UnseenNode(text, np.array(rows, dtype=np.int64))


def probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Computes the softmax of logits / temperature; float32 [B, classes]."""
    scaled = logits / np.float32(temperature)
    scaled -= scaled.max(axis=1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled


def best_labels(
    logits: NDArray[np.float32], temperature: float, top_k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Finds the labels with the highest logits and their probabilities, best first.

    Logits decide the order, because different logits may have equal probabilities; equal logits
    keep the order of the labels. Each result is [B, min(top_k, classes)].

    Raises:
        InvalidArgumentError: `top_k` is below 1.
    """
    if top_k < 1:
        raise InvalidArgumentError(f"top_k is {top_k}; it must be at least 1")
    scores = probabilities(logits, temperature)
    if top_k == 1:
        return logits.argmax(axis=1, keepdims=True), scores.max(axis=1, keepdims=True)
    labels = np.argsort(-logits, axis=1, kind="stable")[:, :top_k]
    return labels, np.take_along_axis(scores, labels, axis=1)


def best_label(logits: NDArray[np.float32], temperature: float) -> tuple[int, float]:
    """Finds the best label of one node, float32 [classes], and its probability.

    Equals `best_labels` to the last digit, with the fewest array operations: in a look-up of one
    node their overhead dominates.
    """
    best = int(logits.argmax())
    scaled = logits / np.float32(temperature)
    return best, float(1 / np.exp(scaled - scaled[best]).sum())


class LabelScore(Struct, frozen=True):
    """A label and its calibrated probability."""

    label: str
    score: float


class Prediction(Struct, frozen=True):
    """The answer for one node; a struct, because creating hundreds per request must be fast.

    Attributes:
        index: position in the request.
        id: as in the request.
        label: the most probable label.
        score: its calibrated probability.
        top: the top_k labels, best first; empty if there is an error.
        error: why there is no answer.
    """

    index: int
    id: str | None
    label: str | None = None
    score: float | None = None
    top: tuple[LabelScore, ...] = ()
    error: NodeError | None = None


@dataclass(frozen=True, slots=True)
class Form(Generic[Made]):
    """How predictions are built: as `Prediction`, or directly as structs of an answer's body.

    Attributes:
        answer: makes an answer of position, id, best label, its score and the top_k labels.
        refusal: makes an invalid node's answer of position, id and error.
    """

    answer: Callable[[int, str | None, str, float, tuple[LabelScore, ...]], Made]
    refusal: Callable[[int, str | None, NodeError], Made]


PREDICTIONS = Form(Prediction, lambda index, name, error: Prediction(index, name, error=error))


def joined_logits(resolution: Resolution, inference: "Inference | None") -> NDArray[np.float32]:
    """Joins stored and inferred logits in the order of `resolution.positions`.

    Returns float32 [B, classes].

    Raises:
        InferenceError: see `GraphState.logits`.
    """
    state, rows = resolution.state, np.array(resolution.stored_rows, dtype=np.int64)
    if state.stale is None:  # the shortest way: for few nodes every call costs
        stored = state.tables.logits.take(state.graph.version, rows)
    else:
        stored = state.logits(rows)
    return stored if inference is None else np.concatenate([stored, inference.logits])


def assemble(
    nodes: Sequence[QueryNode],
    resolution: Resolution,
    logits: NDArray[np.float32],
    label_names: Sequence[str],
    temperature: float,
    top_k: int,
    form: Form[Made],
) -> list[Made]:
    """Makes one prediction per node, in the order of the request.

    Shapes:
        logits: float32 [B, classes], in the order of `resolution.positions`
    """
    if top_k == 1 and len(nodes) == len(logits) == 1:
        label, score = best_label(logits[0], temperature)
        best = LabelScore(label_names[label], round(score, SCORE_DECIMALS))
        return [form.answer(0, nodes[0].id, best.label, best.score, (best,))]
    predictions = {
        position: form.refusal(position, nodes[position].id, error)
        for position, error in resolution.errors.items()
    }
    answer = form.answer
    labels, scores = best_labels(logits, temperature, top_k)
    rounded = scores.astype(np.float64).round(SCORE_DECIMALS)
    for position, label_row, score_row in zip(
        resolution.positions, labels.tolist(), rounded.tolist(), strict=True
    ):
        pairs = zip(label_row, score_row, strict=True)
        top = tuple([LabelScore(label_names[label], score) for label, score in pairs])
        best = top[0]
        predictions[position] = answer(position, nodes[position].id, best.label, best.score, top)
    return [predictions[position] for position in range(len(nodes))]
