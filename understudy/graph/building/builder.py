"""Builds a graph from any reader's records: faults are repaired and counted, or refused."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.graph.building.absent_names import absent_names
from understudy.graph.building.broken_characters import broken_characters
from understudy.graph.building.class_losses import class_losses
from understudy.graph.building.dated_ids import dated_remark
from understudy.graph.building.edge_resolution import resolve_edges
from understudy.graph.building.labels import NEGATIVE_LABELS, encode_labels
from understudy.graph.building.node_checks import (
    NodeColumns,
    distinct_nodes,
    gather_nodes,
    with_text,
)
from understudy.graph.building.records import EdgeTable, NodeTable
from understudy.graph.building.remarks import alike_ids, what_to_know
from understudy.graph.building.repairs import Repair, RepairLog
from understudy.graph.building.rounded_ids import rounded_remark
from understudy.graph.building.split_names import check_members, split_from_column
from understudy.graph.errors import BadInputError
from understudy.graph.splits import (
    SPLIT_NAMES,
    are_shares,
    check_split,
    random_split,
    untrained_members,
)
from understudy.graph.text_graph import UNLABELED, TextGraph, with_used_labels
from understudy.progress import Progress, silent

MISSING_TEXT = ("fail", "skip", "id")
UNSEEN_LABELS = ("fail", "drop")


@dataclass(frozen=True)
class Rules:
    """How to handle each kind of bad record.

    Raises:
        BadInputError: a field has an invalid value.
    """

    skip_unknown: bool = False  # drop edges to unknown nodes instead of refusing the file
    missing_text: str = "fail"  # fail · skip: leave the node out · id: use its id as its text
    unseen_labels: str = "fail"  # a label that train lacks: fail · drop: unlabel its nodes
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)  # train, val, test of a random split
    seed: int = 0  # of a random split
    negative_labels: str = "auto"  # see graph.labels

    def __post_init__(self) -> None:
        for name, words in (
            ("missing_text", MISSING_TEXT),
            ("unseen_labels", UNSEEN_LABELS),
            ("negative_labels", NEGATIVE_LABELS),
        ):
            if (value := getattr(self, name)) not in words:
                raise BadInputError(f"{name} must be one of {', '.join(words)}, not {value!r}")
        if not isinstance(self.skip_unknown, bool | np.bool_):
            raise BadInputError(f"skip_unknown must be True or False, not {self.skip_unknown!r}")
        if not isinstance(self.seed, int | np.integer) or self.seed < 0:
            raise BadInputError(f"seed must be a whole number from 0, not {self.seed!r}")
        if not are_shares(self.fractions):
            raise BadInputError(
                "fractions must be shares of train, val and test that sum to 1, such as "
                f"(0.6, 0.2, 0.2), not {self.fractions!r}"
            )


def checked_rules(rules: Rules | None) -> Rules:
    """The given rules, or the default ones.

    Raises:
        BadInputError: the argument is something else, such as a dict.
    """
    if rules is None:
        return Rules()
    if not isinstance(rules, Rules):
        kind = type(rules).__name__
        raise BadInputError(f"rules must be understudy.Rules(…), not {kind}")
    return rules


@dataclass(frozen=True)
class Built:
    """A graph, and the repairs that were made."""

    graph: TextGraph
    repairs: tuple[Repair, ...]
    random_split: bool  # whether the split was drawn here rather than given
    remarks: tuple[str, ...] = ()  # what a user should know before training on it

    def with_repairs(self, repairs: Sequence[Repair]) -> "Built":
        """The same with other repairs, also in the graph's notes."""
        notes = {repair.kind: repair.count for repair in repairs}
        return replace(self, graph=replace(self.graph, notes=notes), repairs=tuple(repairs))


@dataclass(frozen=True)
class GivenSplit:
    """A split that comes with the data, separate from the nodes' own column.

    Shapes:
        members: split name → node record positions (int64, over all node tables in order)
    """

    members: Mapping[str, NDArray[np.int64]]
    origin: str  # in words: the option, or the keys of a file


def build_graph(
    nodes: Sequence[NodeTable],
    edges: Sequence[EdgeTable],
    *,
    name: str,
    source: str,
    rules: Rules | None = None,
    given: GivenSplit | None = None,
    log: RepairLog | None = None,
    progress: Progress = silent,
) -> Built:
    """Builds a graph from records.

    Args:
        given: replaces the nodes' own split column.
        log: the repairs that the reader has made already.

    Raises:
        BadInputError: a record that `rules` does not repair; the message says where it is.
    """
    rules, log = checked_rules(rules), log or RepairLog()
    progress("build the graph", 0, 4)
    records = gather_nodes(nodes, rules.negative_labels, log)
    kept, first_of = distinct_nodes(records, log)
    kept, texts = with_text(records, kept, rules.missing_text, log)
    if not len(kept):
        raise BadInputError(
            f"no node of {', '.join(table.source.file for table in nodes)} has a text, and "
            "--missing-text skip leaves out those without; use --missing-text id, or name the "
            "column that holds texts"
        )
    progress("build the graph", 1, 4)
    position = np.full(len(records), UNLABELED, dtype=np.int64)
    position[kept] = np.arange(len(kept))
    position = position[first_of]  # a repeated record stands for its first
    ids = records.ids.take(pa.array(kept))
    labels, label_names = encode_labels(records.labels.take(pa.array(kept)))
    adjacency = resolve_edges(edges, records, position, len(kept), rules.skip_unknown, log)
    progress("build the graph", 2, 4)
    groups = encode_groups(records.groups.take(pa.array(kept)))
    splits = known_split(records, kept, position, given)
    drawn = not any(map(len, splits.values()))
    if not drawn:
        origin = split_origin(nodes, given, rules, drawn, grouped=False)
        check_drawing(rules, f"a split is given ({origin})", own=given is None)
    elif label_names:
        splits = random_split(labels, rules.fractions, rules.seed, groups)
    else:
        check_drawing(rules, "no node has a label", own=False)
        splits = {}
    splits = without_unlabeled(splits, labels, log)
    graph = TextGraph(name, ids, texts, labels, label_names, adjacency, splits, groups, source)
    progress("build the graph", 3, 4)
    graph = checked(graph, records, kept, rules, log)
    origin = split_origin(nodes, given, rules, drawn, groups is not None) if splits else ""
    files = [table.reading for table in nodes] + [table.reading for table in edges]
    readings = [reading.value() for reading in files if reading.file]
    graph = replace(with_notes(graph, log), reading={"files": readings, "split": origin})
    progress("build the graph", 4, 4)
    remarks = tuple(remarks_on(graph, records, kept, rules.missing_text, drawn))
    return Built(graph, tuple(log.repairs.values()), drawn, remarks)


def known_split(
    records: NodeColumns,
    kept: NDArray[np.int64],
    position: NDArray[np.int64],
    given: GivenSplit | None,
) -> dict[str, NDArray[np.int64]]:
    """The split that comes with the data; without members if none does.

    Args:
        kept: int64 [N], the record of each node.
        position: int64 [R], the node of each record; -1 if it is left out.

    Raises:
        BadInputError: a name or a member of the split is not valid, or a given split is empty.
    """
    if given is None:
        return split_from_column(records, kept)
    splits = check_members(given.members, position, records)
    if not any(map(len, splits.values())):
        raise BadInputError(f"the given split ({given.origin}) contains no node")
    return splits


def remarks_on(
    graph: TextGraph,
    records: NodeColumns,
    kept: NDArray[np.int64],
    missing_text: str,
    drawn: bool,
) -> Iterator[str]:
    """Yields what a user should know before training on a graph.

    Args:
        kept: int64 [N], the record of each node.
        drawn: whether the split was drawn here.
    """

    def record(node: int) -> str:
        return records.at(int(kept[node]))

    def place(node: int) -> str:
        return records.id_at(int(kept[node]))

    yield from class_losses(graph, records, kept, missing_text)
    yield from what_to_know(graph, drawn)
    yield from absent_names(graph, place)
    yield from broken_characters(graph, record)
    yield from alike_ids(graph.ids, record)
    yield from rounded_remark(graph.ids, place)
    yield from dated_remark(graph.ids, place)


def check_drawing(rules: Rules, why: str, own: bool) -> None:
    """Refuses rules of a random split if none is drawn.

    Args:
        why: the reason in words.
        own: whether the reason is a split column.

    Raises:
        BadInputError: the seed or the fractions are not the default, and would have no effect.
    """
    drawing = {"fractions": tuple(rules.fractions) != Rules.fractions, "seed": rules.seed != 0}
    if unread := [name for name, other in drawing.items() if other]:
        advice = ", or let one be drawn with --split-field none" if own else ""
        raise BadInputError(
            f"{' and '.join('--' + name for name in unread)} would draw a random split, but {why}; "
            f"leave {'them' if len(unread) > 1 else 'it'} out{advice}"
        )


def split_origin(
    nodes: Sequence[NodeTable], given: GivenSplit | None, rules: Rules, drawn: bool, grouped: bool
) -> str:
    """Describes where the split came from."""
    if drawn:
        shares = "/".join(f"{share:g}" for share in rules.fractions)
        together = ", groups kept together" if grouped else ""
        return f"drawn at random, {shares}, seed {rules.seed}{together}"
    if given is not None:
        return given.origin
    used = [table.reading.used for table in nodes]
    columns = {name: None for role in ("split", "masks") for u in used for name in u.get(role, ())}
    return f"column {', '.join(columns)}" if columns else "the nodes' own"


def encode_groups(column: pa.LargeStringArray) -> NDArray[np.int64] | None:
    """int64 [N], numbered by first appearance; a node without a group is a group of its own."""
    if column.null_count == len(column):
        return None
    encoded = column.dictionary_encode().indices
    alone = np.cumsum(encoded.is_null().to_numpy(zero_copy_only=False)) - 1
    codes = pc.fill_null(encoded, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    groups: NDArray[np.int64] = np.where(codes < 0, codes.max(initial=-1) + 1 + alone, codes)
    return groups


def without_unlabeled(
    splits: Mapping[str, NDArray[np.int64]], labels: NDArray[np.int64], log: RepairLog
) -> dict[str, NDArray[np.int64]]:
    """Removes nodes without a label from splits: they can be neither trained on nor graded."""
    kept = {name: members[labels[members] != UNLABELED] for name, members in splits.items()}
    log.add("unlabeled_in_split", sum(len(splits[name]) - len(kept[name]) for name in kept))
    return kept


def checked(
    graph: TextGraph,
    records: NodeColumns,
    kept: NDArray[np.int64],
    rules: Rules,
    log: RepairLog,
) -> TextGraph:
    """Checks the graph's split; applies the rule for labels that train lacks.

    Raises:
        BadInputError: the split could not give an honest accuracy; the message names a record.
    """
    unseen = untrained_members(graph)
    if rules.unseen_labels == "drop" and len(unseen):
        log.add("unseen_labels", len(unseen), records.at(int(kept[unseen[0]])))
        graph = without_labels(graph, unseen)
    check_split(graph, lambda node: records.at(int(kept[node])))
    return graph


def without_labels(graph: TextGraph, nodes: NDArray[np.int64]) -> TextGraph:
    """The graph without the labels and splits of `nodes`, and without unused label names."""
    labels = graph.labels.copy()
    labels[nodes] = UNLABELED
    splits = {name: np.setdiff1d(members, nodes) for name, members in graph.splits.items()}
    return with_used_labels(replace(graph, labels=labels, splits=splits))


def with_notes(graph: TextGraph, log: RepairLog) -> TextGraph:
    ordered = {name: graph.splits[name] for name in SPLIT_NAMES if name in graph.splits}
    return replace(graph, splits=ordered, notes=log.notes())
