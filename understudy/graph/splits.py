"""Splits of the labelled nodes: drawn at random, or checked if they were given."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.graph.errors import BadInputError
from understudy.graph.text_graph import UNLABELED, TextGraph

SPLIT_NAMES = ("train", "val", "test")


def labeled_nodes(graph: TextGraph, split: str) -> NDArray[np.int64]:
    """int64: the labelled nodes of a split, ascending; empty if there is no such split."""
    members = graph.splits.get(split, np.empty(0, dtype=np.int64))
    labeled: NDArray[np.int64] = members[graph.labels[members] != UNLABELED]
    return labeled


def untrained_members(graph: TextGraph) -> NDArray[np.int64]:
    """Nodes whose label no train node has, in node order; without train, those of val and test.

    Nodes outside all splits count: a class that only they have could not be trained either.
    """
    none = np.empty(0, np.int64)
    train = graph.splits.get("train", none)
    nodes = np.arange(graph.num_nodes)
    if not len(train):
        nodes = np.concatenate([graph.splits.get(name, none) for name in ("val", "test")])
    labels = graph.labels[nodes]
    return np.sort(nodes[(labels != UNLABELED) & ~np.isin(labels, graph.labels[train])])


def check_apart(graph: TextGraph, place: Callable[[int], str] | None = None) -> NDArray[np.int64]:
    """The members of all splits, int64; checks that each is in one split only.

    Raises:
        BadInputError: a node is in several splits, or twice in one.
    """
    members = np.concatenate([*graph.splits.values(), np.empty(0, np.int64)]).astype(np.int64)
    twice = np.flatnonzero(np.bincount(members, minlength=graph.num_nodes) > 1)
    if len(twice):
        raise BadInputError(
            f"{node_in_words(graph, int(twice[0]), place)} is in more than one split; "
            "each node may be in one"
        )
    return members


def check_split(graph: TextGraph, place: Callable[[int], str] | None = None) -> None:
    """Refuses a split that could not give an honest accuracy.

    Args:
        place: where a node was read, for example "nodes.csv:7".

    Raises:
        BadInputError: splits overlap, or a label is not in train.
    """
    members = check_apart(graph, place)
    unseen = untrained_members(graph)
    if len(unseen):
        inside = np.intersect1d(unseen, members)
        node = int(inside[0] if len(inside) else unseen[0])
        splits = (name for name in SPLIT_NAMES if node in graph.splits.get(name, ()))
        where = next((f"in {name}" for name in splits), "on nodes of no split")
        advice = "move some of its nodes to train, or remove the label, at import with "
        if place is None:
            advice = (
                "give it to a node of train, or remove it from its nodes: of a served graph "
                "through the service, in files at import with "
            )
        raise BadInputError(
            f"{node_in_words(graph, node, place)} has label "
            f"{graph.label_names[graph.labels[node]]!r}, which is {where} but not in "
            f"train; {advice}--unseen-labels drop"
        )


def node_in_words(graph: TextGraph, node: int, place: Callable[[int], str] | None) -> str:
    """Describes a node for a message, with its place if known."""
    name = f"node {graph.ids[node].as_py()!r}"
    return f"{place(node)}: {name}" if place else name


def are_shares(fractions: Sequence[float]) -> bool:
    """Whether these are shares of train, val and test that sum to 1, with train above 0."""
    numbers = len(fractions) == 3 and all(isinstance(share, float | int) for share in fractions)
    return numbers and min(fractions[1:]) >= 0 < fractions[0] and abs(sum(fractions) - 1) <= 1e-6


def random_split(
    labels: NDArray[np.int64],
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> dict[str, NDArray[np.int64]]:
    """Splits the labelled nodes, stratified by label; nodes of one group stay together.

    A group counts for the label that most of its nodes have. If that leaves a class without a
    training node, one of its groups moves to train. A class with a single group is only trained on,
    and one with two groups has none in val.

    Args:
        fractions: of train, val and test; they sum to 1, and that of train is not 0.

    Raises:
        ValueError: the fractions are not three shares of 1.
    """
    if not are_shares(fractions):
        raise ValueError(f"fractions must be three shares of 1, train's more than 0: {fractions}")
    generator = np.random.default_rng(seed)
    labeled = np.flatnonzero(labels != UNLABELED)
    own_labels = labels[labeled]
    group_of = labeled if groups is None else groups[labeled]
    _, member, sizes = np.unique(group_of, return_inverse=True, return_counts=True)
    group_labels = commonest_labels(member, own_labels)
    part = np.zeros(len(sizes), dtype=np.int64)
    for label in np.unique(group_labels):
        own = generator.permutation(np.flatnonzero(group_labels == label))
        if sizes[own].max() == 1:
            for index, piece in enumerate(np.split(own, cut_points(len(own), fractions))):
                part[piece] = index
        else:
            part[own] = fill_parts(sizes[own], fractions)
    for label in np.setdiff1d(own_labels, own_labels[part[member] == 0]):
        part[member[np.flatnonzero(own_labels == label)[0]]] = 0
    return {name: labeled[part[member] == index] for index, name in enumerate(SPLIT_NAMES)}


def commonest_labels(member: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [groups]: the most frequent label in each group, the lower one on a tie.

    Shapes:
        member: int64 [N], the group of each node, in [0, groups)
    """
    span = int(labels.max(initial=0)) + 1
    pairs, counts = np.unique(member * span + labels, return_counts=True)
    order = np.lexsort((-pairs, counts))  # the last write wins: most nodes, then lower label
    commonest = np.zeros(int(member.max(initial=-1)) + 1, dtype=np.int64)
    commonest[pairs[order] // span] = pairs[order] % span
    return commonest


def fill_parts(sizes: NDArray[np.int64], fractions: Sequence[float]) -> NDArray[np.int64]:
    """int64 [groups]: 0 train, 1 val, 2 test; largest groups first, each to the neediest part.

    Whole groups cannot match the fractions exactly, and placing large ones last would leave a part
    far from its share.
    """
    lacks = np.array(fractions) * sizes.sum()
    part = np.zeros(len(sizes), dtype=np.int64)
    # On a tie, train, then test: a class never graded is worse than one not selected on.
    empty = [index for index in (0, 2, 1) if fractions[index] > 0]
    choices = list(empty)
    for done, group in enumerate(np.argsort(-sizes, kind="stable")):
        last_chance = len(sizes) - done <= len(empty)
        index = max(empty if last_chance else choices, key=lambda index: lacks[index])
        empty = [other for other in empty if other != index]
        part[group] = index
        lacks[index] -= sizes[group]
    return part


def cut_points(count: int, fractions: Sequence[float]) -> tuple[int, int]:
    """Where val and test start among `count` groups: train is served first, then test, then val."""
    wants_val, wants_test = (int(fraction > 0) for fraction in fractions[1:])
    least_test = wants_test if count >= 2 else 0
    least_val = wants_val if count >= 2 + wants_test else 0
    train = min(max(round(fractions[0] * count), 1), count - least_val - least_test)
    val_end = round((fractions[0] + fractions[1]) * count) if wants_test else count
    return train, min(max(val_end, train + least_val), count - least_test)
