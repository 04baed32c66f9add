"""A request's nodes sorted out: stored ones by row, unseen ones ready to run, bad ones by error."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from understudy.engine.errors import (
    EmptyTextError,
    IncompleteNodeError,
    NodeError,
    TextTooLongError,
    TooManyNeighborsError,
    UnknownNeighborError,
    UnknownNodeError,
)
from understudy.engine.limits import Limits
from understudy.engine.state import GraphState
from understudy.graph.view import GraphView


class AskedNode(Protocol):
    """What is read of a node that is asked about; a wire's own type may have this shape."""

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
        id: of a stored node; beside a text it is only echoed.
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


@dataclass(slots=True)
class Resolution:
    """Every position of the request is in exactly one of the three parts."""

    state: GraphState
    stored_positions: list[int] = field(default_factory=list)
    stored_rows: list[int] = field(default_factory=list)
    unseen_positions: list[int] = field(default_factory=list)
    unseen: list[UnseenNode] = field(default_factory=list)
    errors: dict[int, NodeError] = field(default_factory=dict)

    @property
    def positions(self) -> list[int]:
        """Of all good nodes, the stored ones first."""
        return [*self.stored_positions, *self.unseen_positions]


def resolve(state: GraphState, nodes: Sequence[AskedNode], limits: Limits) -> Resolution:
    """Looks up ids and checks texts; a bad node is an entry of `errors`, never an exception."""
    resolution = Resolution(state)
    for position, node in enumerate(nodes):
        try:
            if node.text is None:
                resolution.stored_rows.append(stored_row(state.graph, node))
                resolution.stored_positions.append(position)
            else:
                resolution.unseen.append(
                    unseen_node(state.graph, node.text, node.neighbors, limits)
                )
                resolution.unseen_positions.append(position)
        except NodeError as error:
            resolution.errors[position] = error
    return resolution


def stored_row(graph: GraphView, node: AskedNode) -> int:
    if node.id is None or node.neighbors:
        raise IncompleteNodeError(
            "a node needs the id of a stored node alone, or a text with its neighbors"
        )
    row = graph.row_of(node.id)
    if row is None:
        raise UnknownNodeError(node.id)
    return row


def unseen_node(
    graph: GraphView, text: str, neighbors: Sequence[str], limits: Limits
) -> UnseenNode:
    if len(text) > limits.text_characters:
        raise TextTooLongError(len(text), limits.text_characters)
    if not text or text.isspace():
        raise EmptyTextError("the text is empty; an unseen node is classified by its text")
    if len(neighbors) > limits.neighbors:
        raise TooManyNeighborsError(len(neighbors), limits.neighbors)
    distinct = dict.fromkeys(neighbors)  # an edge given twice is one edge
    rows = graph.rows_of(list(distinct))
    if None in rows:
        raise UnknownNeighborError(
            [name for name, row in zip(distinct, rows, strict=True) if row is None]
        )
    return UnseenNode(text, np.array(rows, dtype=np.int64))
