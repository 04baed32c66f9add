"""The JSON lines form of a graph: a head, nodes, edges, and an end that proves completeness."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from understudy.graph.csr import Adjacency, build_adjacency
from understudy.graph.errors import BadInputError
from understudy.graph.lineage import Lineage, lineage_of
from understudy.graph.mutable.view import GraphView, NodeRecord
from understudy.graph.text_graph import UNLABELED, TextGraph, own_groups, string_array

ROWS_A_PIECE = 1_024  # nodes whose lines, or whose edges' lines, are encoded together
PIECE_BYTES = 2**18  # size from which encoded lines are sent
ROWS_A_COPY = 65_536  # nodes whose neighbours are copied in one step


class Head(Struct, frozen=True, tag_field="kind", tag="graph"):
    """The first line."""

    name: str
    source: Annotated[str, Meta(description="Source that the graph was imported from, in words.")]
    lineage: Annotated[str, Meta(description="Content hash of the graph when it was imported.")]
    graph_version: Annotated[int, Meta(description="Number of all lines that follow.")]
    labels: tuple[str, ...]
    splits: tuple[str, ...]
    nodes: int
    edges: int


class NodeLine(Struct, frozen=True, tag_field="kind", tag="node"):
    """One node; all nodes come before the edges."""

    id: str
    text: str
    label: Annotated[str | None, Meta(description="The given label, not the predicted one.")] = None
    split: Annotated[
        str | None, Meta(description="Split of the node; null if the node was added later.")
    ] = None
    group: Annotated[
        Annotated[int, Meta(ge=0, le=2**62)] | None,
        Meta(
            description="Group of the node, whose nodes are all in one split; null if the node was "
            "added later."
        ),
    ] = None


class EdgeLine(Struct, frozen=True, tag_field="kind", tag="edge"):
    """One undirected edge; each edge occurs once."""

    source: str
    target: str


class End(Struct, frozen=True, tag_field="kind", tag="end"):
    """The last line; without it the graph is incomplete."""

    nodes: int
    edges: int


Line = Head | NodeLine | EdgeLine | End
ENCODER = msgspec.json.Encoder()
DECODER = msgspec.json.Decoder(Line)


def graph_lines(view: GraphView) -> Iterator[bytes]:
    """Yields the lines of one version in pieces; a piece may be empty while data is prepared.

    Mutable data is copied first, because reading an old version gets slower with every change
    since. Under a steady stream of changes, the end would otherwise never be reached.
    """
    base = view.parts.base
    head = Head(
        base.name,
        base.source,
        lineage_of(base).id,
        view.version.number,
        view.label_names,
        tuple(base.splits),
        view.num_nodes,
        view.num_edges,
    )
    yield from encoded([head])
    rows = view.live_rows()
    nodes = Nodes(base, view.parts.records.items(view.version), head.labels, split_positions(base))
    lists: deque[tuple[NDArray[np.int64], Adjacency]] = deque()
    for block in parted(rows, ROWS_A_COPY):
        lists.append((block, view.adjacent(block)))
        yield b""
    del view  # frees the undo notes that it keeps alive
    for piece in parted(rows, ROWS_A_PIECE):
        yield from encoded(map(nodes.line, piece.tolist()))
    while lists:
        block, near = lists.popleft()
        for places in parted(np.arange(len(block)), ROWS_A_PIECE):
            yield from encoded(edges_of(nodes, block, near, places))
    yield from encoded([End(head.nodes, head.edges)])


def parted(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes of a version, unaffected by later changes.

    Attributes:
        records: row → node, for rows that differ from the base.
        split_of: see `split_positions`.
    """

    base: TextGraph
    records: Mapping[int, NodeRecord]
    label_names: Sequence[str]
    split_of: NDArray[np.int8]

    def id(self, row: int) -> str:
        changed = self.records.get(row)
        return changed.id if changed is not None else str(self.base.ids[row].as_py())

    def line(self, row: int) -> NodeLine:
        changed, base = self.records.get(row), self.base
        if changed is None:
            text, label = str(base.texts[row].as_py()), int(base.labels[row])
        else:
            text, label = changed.text, changed.label
        name, split, group = self.id(row), None, None
        if row < base.num_nodes:  # added nodes have no split and no group
            if self.split_of[row] >= 0:
                split = tuple(base.splits)[self.split_of[row]]
            if base.groups is not None:
                group = int(base.groups[row])
        known = None if label == UNLABELED else self.label_names[label]
        return NodeLine(name, text, known, split, group)


def encoded(lines: Iterable[Line]) -> Iterator[bytes]:
    """Encodes lines into pieces of bounded size, since texts or a hub's edges may be long."""
    piece = bytearray()
    for line in lines:
        piece += ENCODER.encode(line)
        piece += b"\n"
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def split_positions(base: TextGraph) -> NDArray[np.int8]:
    """int8 [N base]: the index of each row's split, -1 for none."""
    split_of = np.full(base.num_nodes, -1, dtype=np.int8)
    for position, members in enumerate(base.splits.values()):
        split_of[members] = position
    return split_of


def edges_of(
    nodes: Nodes, rows: NDArray[np.int64], near: Adjacency, places: NDArray[np.int64]
) -> Iterator[EdgeLine]:
    """The edges from some of the rows to higher rows; `places` are positions in `rows`."""
    for place in places.tolist():
        row = int(rows[place])
        higher = [other for other in near.neighbors(place).tolist() if other > row]
        if higher:
            name = nodes.id(row)
            yield from (EdgeLine(name, nodes.id(other)) for other in higher)


class Reading:
    """The part of a graph that was read so far.

    Attributes:
        pairs: edges as positions of their nodes
    """

    def __init__(self, head: Head) -> None:
        self.head = head
        self.place_of: dict[str, int] = {}
        self.texts: list[str] = []
        self.labels: list[int] = []
        self.splits: dict[str, list[int]] = {name: [] for name in head.splits}
        self.groups: list[int] = []
        self.label_of = {name: place for place, name in enumerate(head.labels)}
        self.pairs: list[tuple[int, int]] = []

    def take(self, line: Line) -> None:
        """Adds a line.

        Raises:
            KeyError: it names an unknown node, label or split.
            ValueError: it is not allowed here.
        """
        match line:
            case NodeLine():
                place = self.place_of.setdefault(line.id, len(self.texts))
                if place != len(self.texts):
                    raise ValueError(f"the node {line.id!r} comes twice")
                self.texts.append(line.text)
                label = UNLABELED if line.label is None else self.label_of[line.label]
                self.labels.append(label)
                self.groups.append(-1 if line.group is None else line.group)
                if line.split is not None:
                    self.splits[line.split].append(place)
            case EdgeLine():
                self.pairs.append((self.place_of[line.source], self.place_of[line.target]))
            case _:
                raise ValueError("a second head")

    def graph(self, end: End) -> TextGraph:
        """Builds the complete graph.

        Raises:
            ValueError: something is missing.
        """
        counts = (len(self.texts), len(self.pairs))
        if not counts == (end.nodes, end.edges) == (self.head.nodes, self.head.edges):
            raise ValueError(f"{counts[0]:,} nodes and {counts[1]:,} edges, not as many as it says")
        pairs = np.array(self.pairs, dtype=np.int64).reshape(-1, 2)
        return TextGraph(
            name=self.head.name,
            ids=string_array(self.place_of),
            texts=string_array(self.texts),
            labels=np.array(self.labels, dtype=np.int64),
            label_names=self.head.labels,
            adjacency=build_adjacency(len(self.texts), pairs)[0],
            splits={name: np.array(places, np.int64) for name, places in self.splits.items()},
            groups=own_groups(np.array(self.groups, dtype=np.int64)),
            source=self.head.source,
            lineage=Lineage(self.head.lineage, self.head.graph_version),
        )


def read_graph(lines: Iterable[bytes | str], where: str) -> TextGraph:
    """Reads the graph that `graph_lines` wrote.

    Args:
        where: the source of the lines, for messages.

    Raises:
        BadInputError: the lines are no graph, or an incomplete one.
    """
    reading: Reading | None = None
    number = 0
    try:
        for words in lines:
            number += 1
            line = DECODER.decode(words)
            if reading is None:
                if not isinstance(line, Head):
                    raise ValueError("this is not the beginning of a graph")
                reading = Reading(line)
            elif isinstance(line, End):
                return reading.graph(line)
            else:
                reading.take(line)
    except KeyError as error:
        raise BadInputError(
            f"{where}: line {number} of the graph names {error}, which does not exist"
        ) from error
    except (ValueError, msgspec.MsgspecError) as error:
        if reading is None:  # for example a proxy's page
            raise BadInputError(
                f"{where}: the answer is not a graph ({error}); check that this is the address of "
                "a service"
            ) from error
        raise BadInputError(f"{where}: line {number} of the graph: {error}") from error
    raise BadInputError(f"{where}: the graph is incomplete: it breaks off after line {number:,}")
