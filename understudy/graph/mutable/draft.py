"""Changes that are checked one by one against the resulting graph, before they are made."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from understudy.graph.errors import MutationError, UnknownItemError
from understudy.graph.ids import id_problem
from understudy.graph.missing import is_blank
from understudy.graph.mutable.draft_edges import DraftEdges, pair_key, rows_of
from understudy.graph.mutable.view import REMOVED, ROW_BITS, GraphView, NodeRecord
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, RemoveEdge, UpsertNode
from understudy.graph.names import which_are_known
from understudy.graph.text_graph import UNLABELED

ABSENT = -1  # row of an id that is not stored
SHOWN_CHARACTERS = 100  # maximum length of an id in a message
MANY = 16  # number of mutations from which looking up edges together is cheaper
EDGES = (AddEdge, RemoveEdge)


class Draft:
    """Several batches on top of a view; a refused batch leaves no trace.

    Attributes:
        rows: id → row, or -1 if removed; only ids that differ from the view
        records: row → its new record, `REMOVED` for a removed node
        edges: the pairs of rows that it links or unlinks
        new_rows: rows that the view does not use
        taken: the new rows that no node of the base had
        left: id → row, for nodes of the base that the draft removes
        new_labels: label names that the view does not know, with their indices
    """

    def __init__(
        self, view: GraphView, free_rows: Sequence[int], own_rows: Mapping[str, int]
    ) -> None:
        """Starts without changes.

        Args:
            free_rows: gaps of the view, to be filled before rows are added; never changed here.
            own_rows: id → row of removed nodes of the base; a node that returns gets its own row
                back, and no other node gets it.
        """
        self.view = view
        self.free_rows = free_rows
        self.own_rows = own_rows
        self.left: dict[str, int] = {}
        self.rows: dict[str, int] = {}
        self.records: dict[int, NodeRecord] = {}
        self.new_rows: dict[int, bool] = {}  # row → True
        self.edges = DraftEdges(view, self.new_rows)
        self.taken: dict[int, bool] = {}
        self.label_positions = {name: label for label, name in enumerate(view.label_names)}
        self.new_labels: dict[str, int] = {}
        self.acknowledged = False
        self.log: list[tuple[dict[Any, Any], Any, Any]] = []  # old values, newest last

    def apply(self, mutations: Sequence[Mutation], acknowledged: bool = False) -> None:
        """Adds a batch.

        Args:
            acknowledged: the batch was accepted before, so the present rules for ids and texts are
                not applied again, and a label that is new here comes from a model that another
                process serves.

        Raises:
            MutationError: an item cannot be applied; the draft is as it was before the batch.
        """
        self.log.clear()
        self.acknowledged = acknowledged
        if len(mutations) >= MANY and self.apply_edges(mutations):
            return
        try:
            for position, mutation in enumerate(mutations):
                if isinstance(mutation, UpsertNode) and not acknowledged:
                    check_id(position, mutation.id)
                self.apply_one(position, mutation)
        except MutationError:
            self.take_back()
            raise

    def take_back(self) -> None:
        """Removes the latest batch; not for batches that were acknowledged before."""
        for target, key, old in reversed(self.log):
            if old is None:
                del target[key]
            else:
                target[key] = old
        self.log.clear()

    def is_idle(self) -> bool:
        """Whether the latest batch left everything as it was before."""
        seen: set[tuple[int, Any]] = set()
        for target, key, old in self.log:  # a key's first entry holds the original value
            place = (id(target), key)
            if place not in seen and target[key] != self.before(target, key, old):
                return False
            seen.add(place)
        return True

    def before(self, target: dict[Any, Any], key: Any, old: Any) -> Any:
        """The value before the batch first wrote to a key; `old` is None if the view has it."""
        if old is not None:
            return old
        if target is self.edges.pairs:
            return self.edges.linked_in_view(*rows_of(key))
        if target is self.rows:
            row = self.view.row_of(key)
            return ABSENT if row is None else row
        if target is self.records:
            return REMOVED if key in self.new_rows else self.view.record(key)
        # A row taken by a node: the other two containers decide whether it stays.
        return target[key]

    def apply_one(self, position: int, mutation: Mutation) -> None:
        if isinstance(mutation, UpsertNode):
            self.upsert(position, mutation)
        elif isinstance(mutation, DeleteNode):
            self.delete(position, mutation)
        else:
            self.change_edge(position, mutation)

    def upsert(self, position: int, node: UpsertNode) -> None:
        if node.text is not None and not self.acknowledged:
            check_text(position, node.text)
        label = UNLABELED
        if node.label is not None:
            label = self.label_position(position, node.label)
        row = self.row_of(node.id)
        if row is None:
            if node.text is None:
                raise MutationError(position, f"{shown(node.id)} is new and needs a text", "text")
            row = self.take_row(node.id)
            self.set(self.rows, node.id, row)
            self.set(self.records, row, NodeRecord(node.id, node.text, label))
            return
        old = self.record(row)
        text = old.text if node.text is None else node.text
        label = old.label if node.label is None else label
        self.set(self.records, row, NodeRecord(node.id, text, label))

    def label_position(self, position: int, name: str) -> int:
        known = self.label_positions.get(name)
        if known is None:
            known = self.new_labels.get(name)
        if known is not None:
            return known
        if not self.acknowledged:
            advice = which_are_known(name, [*self.label_positions, *self.new_labels])
            problem = f"the graph has no label {shown(name)}; {advice}"
            raise MutationError(position, problem, "label")
        label = len(self.label_positions) + len(self.new_labels)
        self.set(self.new_labels, name, label)
        return label

    def put(self, node_id: str, text: str, label: str | None) -> int:
        """Sets a node's text and label, adding it if needed; returns its row."""
        position = UNLABELED if label is None else self.label_position(0, label)
        row = self.row_of(node_id)
        if row is None:
            row = self.take_row(node_id)
            self.set(self.rows, node_id, row)
        self.set(self.records, row, NodeRecord(node_id, text, position))
        return row

    def remove(self, row: int) -> None:
        """Removes a node and its edges."""
        name = self.record(row).id
        self.set(self.rows, name, ABSENT)
        if row < self.view.parts.base.num_nodes:
            self.set(self.left, name, row)
        for other in list(self.edges.neighbors(row)):
            self.link(row, other, False)
        self.set(self.records, row, REMOVED)

    def delete(self, position: int, node: DeleteNode) -> None:
        self.remove(self.known_row(position, node.id, "id"))

    def change_edge(self, position: int, edge: AddEdge | RemoveEdge) -> None:
        source = self.known_row(position, edge.source, "source")
        target = self.known_row(position, edge.target, "target")
        if source == target:
            problem = f"{shown(edge.source)} cannot be linked to itself"
            raise MutationError(position, problem, "target")
        if isinstance(edge, AddEdge):
            self.link(source, target, True)
        elif self.edges.linked(source, target):
            self.link(source, target, False)
        else:
            ends = f"{shown(edge.source)} and {shown(edge.target)}"
            raise UnknownItemError(position, f"{ends} are not linked")

    def row_of(self, node_id: str) -> int | None:
        row = self.rows.get(node_id)
        if row is None:
            return self.view.row_of(node_id)
        return None if row == ABSENT else row

    def known_row(self, position: int, node_id: str, field: str) -> int:
        row = self.row_of(node_id)
        if row is None:
            problem = f"no stored node has the id {shown(node_id)}"
            raise UnknownItemError(position, problem, field)
        return row

    def record(self, row: int) -> NodeRecord:
        return self.records[row] if row in self.records else self.view.record(row)

    def apply_edges(self, mutations: Sequence[Mutation]) -> bool:
        """Adds a batch of edges between nodes of the view at once.

        Returns:
            Whether it is such a batch and can be applied as a whole; if not, nothing was changed.
        """
        if self.rows or self.new_rows or not all(isinstance(m, EDGES) for m in mutations):
            return False
        edges = cast(Sequence[AddEdge | RemoveEdge], mutations)
        first = self.view.row_array([edge.source for edge in edges])
        second = self.view.row_array([edge.target for edge in edges])
        if (np.minimum(first, second) < 0).any() or (first == second).any():
            return False
        pairs = np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1)
        keys = (pairs[:, 0] << ROW_BITS) | pairs[:, 1]
        adds = np.array([isinstance(edge, AddEdge) for edge in edges])
        if not (adds | self.edges.linked_before(pairs, keys, adds)).all():
            return False
        if not self.acknowledged:
            known = self.edges.pairs
            self.log.extend((known, key, known.get(key)) for key in set(keys.tolist()))
        self.edges.pairs.update(zip(keys.tolist(), adds.tolist(), strict=True))
        self.edges.index(keys.tolist())
        return True

    def link(self, first: int, second: int, linked: bool) -> None:
        key = pair_key(first, second)
        self.set(self.edges.pairs, key, linked)
        self.edges.index([key])

    def take_row(self, node_id: str) -> int:
        """Assigns a row to a node that is new or comes back. However batches are grouped, a node of
        the base gets the row that it has there, and with it that row's splits.
        """
        left = self.left.get(node_id)
        if left is not None:
            return left
        own = self.own_rows.get(node_id)
        if own is not None:
            self.set(self.new_rows, own, True)
            return own
        taken, gaps = len(self.taken), len(self.free_rows)
        row = self.free_rows[-1 - taken] if taken < gaps else self.view.num_rows + taken - gaps
        self.set(self.taken, row, True)
        self.set(self.new_rows, row, True)
        return row

    def set(self, target: dict[Any, Any], key: Any, value: Any) -> None:
        self.log.append((target, key, target.get(key)))
        target[key] = value


def check_id(position: int, node_id: str) -> None:
    """Refuses an id that is not allowed in a graph.

    Raises:
        MutationError: see `id_problem`.
    """
    if problem := id_problem(node_id):
        raise MutationError(position, f"a node's id {problem}", "id")


def check_text(position: int, text: str) -> None:
    if is_blank(text):
        raise MutationError(position, "a node's text must have a visible character", "text")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise MutationError(
            position, "the node's text contains half a character (a lone surrogate)", "text"
        ) from error


def shown(words: str) -> str:
    """Quotes a caller's words in a message, truncated."""
    return repr(words if len(words) <= SHOWN_CHARACTERS else words[:SHOWN_CHARACTERS] + "…")
