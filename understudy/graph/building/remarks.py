"""Remarks at import about problems that would show up later and can still be fixed."""

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.counting import counted
from understudy.graph.names import (
    alike_groups,
    plain_form,
    same_number_groups,
    same_thousands_groups,
)
from understudy.graph.numerals import number_of, ungrouped
from understudy.graph.text_graph import UNLABELED, TextGraph

FEW_NODES = 3  # a class needs this many to be in train, val and test
MANY_CLASSES = 0.5  # classes per labelled node above which they are probably names
SMALL = 10  # labelled nodes below which the number of classes is not judged
SHOWN = 5
BETWEEN = (";", "|", ",", "/")  # separators of several labels in one value
READ_AT_ONCE = 65_536  # texts
COPIES = 0.01  # share of val or test with a text from train, above which it is reported


def what_to_know(graph: TextGraph, drawn: bool) -> Iterator[str]:
    """Yields remarks on labels and splits.

    Args:
        drawn: whether the split was drawn at import
    """
    counts = np.bincount(graph.labels[graph.labels != UNLABELED], minlength=graph.num_classes)
    labeled = int(counts.sum())
    if labeled >= SMALL and graph.num_classes > MANY_CLASSES * labeled:
        yield (
            f"{graph.num_classes:,} classes for {labeled:,} labelled nodes: the labels seem to be "
            "names or values rather than classes; name another column with --label-field, or none"
        )
    elif graph.num_classes:
        if drawn:
            yield from small_classes(graph, counts)
        yield from unmeasured_classes(graph, counts >= (FEW_NODES if drawn else 1))
    if graph.label_names == ("-1", "1"):
        yield "the labels -1 and 1 are two classes (else: --negative-labels none)"
    yield from alike(graph.label_names)
    yield from same_numbers(graph.label_names)
    yield from put_together(graph.label_names)
    if not graph.adjacency.num_edges:
        yield "the graph has no edges"
    if graph.num_classes == 1:
        yield f"there is only one class, {graph.label_names[0]!r}, so nothing can be learnt"
    missing = [name for name in ("val", "test") if not len(graph.splits.get(name, ()))]
    if graph.num_classes and missing:
        yield f"no node is in {' or in '.join(missing)}; training needs val, and testing needs test"
    yield from copies(graph)


def copies(graph: TextGraph) -> Iterator[str]:
    """Reports nodes of val and test that have the same text as a train node."""
    train = graph.splits.get("train")
    if train is None or not len(train):
        return
    known = text_digests(graph.texts, train)
    counts, example = [], ""
    for name in ("val", "test"):
        members = graph.splits.get(name, train[:0])
        same = np.isin(text_digests(graph.texts, members), known)
        if same.any() and same.mean() >= COPIES:
            counts.append(f"{int(same.sum()):,} of {len(members):,} nodes of {name}")
            first = graph.texts[int(members[np.argmax(same)])].as_py()
            example = example or first.partition("\n")[0]
    if counts:
        yield (
            f"{' and '.join(counts)} have exactly the text of a train node ({example!r:.60}), so a "
            "model may have memorised them; to keep such nodes together in a random split, name a "
            "column with --group-field"
        )


def alike(names: Sequence[str]) -> Iterator[str]:
    """Reports classes that a person would consider the same."""
    if shown := of_one_form(names, plain_form):
        yield (
            f"{shown}: classes of their own, though only case, blanks or accents' coding differ, "
            "or what cannot be seen; write each class one way if they are the same"
        )


def same_numbers(names: Sequence[str]) -> Iterator[str]:
    """Reports classes that write one number in several ways, such as `1` and `01`."""
    if shown := of_one_form(names, number_of):
        yield (
            f"{shown}: read as different classes, though they are the same number; if they are one "
            "class, write it in one way"
        )
    if shown := of_one_form(names, ungrouped):
        yield (
            f"{shown}: read as different classes, though they are the same number with its "
            "thousands set apart; if they are one class, write it in one way"
        )


def of_one_form(names: Sequence[str], form: Callable[[str], Hashable | None]) -> str:
    """The names that share a form with others, grouped; "" if there are none.

    Args:
        form: of a name; None excludes it.
    """
    groups: dict[Hashable, list[str]] = {}
    for name in names:
        if (own := form(name)) is not None:
            groups.setdefault(own, []).append(name)
    several = [group for group in groups.values() if len(group) > 1]
    return "; ".join(", ".join(map(repr, group)) for group in several[:SHOWN])


def put_together(names: Sequence[str]) -> Iterator[str]:
    """Reports classes that combine others, such as `x;y` besides `x` and `y`."""
    known = set(names)
    for sign in BETWEEN:
        found = [name for name in names if sign in name]
        found = [n for n in found if known.issuperset(part.strip() for part in n.split(sign))]
        if found:
            combine = "combines" if len(found) == 1 else "combine"
            yield (
                f"{len(found):,} of {len(names):,} classes {combine} others, such as "
                f"{found[0]!r}: the nodes seem to have several labels, and one can be read; name "
                "another column with --label-field, or none"
            )


def text_digests(texts: pa.LargeStringArray, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
    """64-bit hashes of the nodes' texts, [len(nodes)]; read in parts, so that a large graph's
    texts, which may be mapped, are not copied as a whole.
    """
    found = np.empty(len(nodes), np.int64)
    for start in range(0, len(nodes), READ_AT_ONCE):
        own = nodes[start : start + READ_AT_ONCE]
        found[start : start + len(own)] = list(map(hash, texts.take(pa.array(own)).to_pylist()))
    return found


def alike_ids(ids: pa.LargeStringArray, place: Callable[[int], str]) -> Iterator[str]:
    """Reports nodes whose ids a person would consider the same.

    Args:
        place: where a node was read, for example "nodes.csv:7".
    """
    if shown := shown_groups(alike_groups(ids), ids, place):
        yield (
            f"{shown}: nodes of their own, though only case, blanks or accents' coding differ in "
            "their ids, or what cannot be seen; write each id one way if they are the same"
        )
    if shown := shown_groups(same_number_groups(ids), ids, place):
        yield (
            f"{shown}: read as different nodes, though their ids are the same number; if they are "
            "one node, write its id in one way, also in the edges"
        )
    if shown := shown_groups(same_thousands_groups(ids), ids, place):
        yield (
            f"{shown}: read as different nodes, though their ids are the same number with its "
            "thousands set apart; if they are one node, write its id in one way, also in the edges"
        )


def shown_groups(
    groups: Sequence[NDArray[np.int64]], ids: pa.LargeStringArray, place: Callable[[int], str]
) -> str:
    """The first groups of nodes with their places; "" if there are none."""
    shown = "; ".join(
        ", ".join(f"{ids[node].as_py()!r:.100} ({place(node)})" for node in group[:SHOWN].tolist())
        for group in groups[:SHOWN]
    )
    more = f"; and {counted(len(groups) - SHOWN, 'more group')}" if len(groups) > SHOWN else ""
    return f"{shown}{more}"


def unmeasured_classes(graph: TextGraph, asked: NDArray[np.bool_]) -> Iterator[str]:
    """Reports classes without a node in val, or in test, if other classes have some.

    Args:
        asked: the classes to look at, bool [classes].
    """
    lacks = []
    for name, words in (("val", "validation"), ("test", "test")):
        members = graph.splits.get(name)
        if members is None or not len(members):
            continue
        lack = asked & (np.bincount(graph.labels[members], minlength=graph.num_classes) == 0)
        if lack.any():
            shown = ", ".join(repr(graph.label_names[i]) for i in np.flatnonzero(lack)[:SHOWN])
            more = f", and {int(lack.sum()) - SHOWN:,} more" if lack.sum() > SHOWN else ""
            verb = "has" if lack.sum() == 1 else "have"
            lacks.append(f"{int(lack.sum()):,} {verb} no {words} node ({shown}{more})")
    if lacks:
        yield (
            f"of {graph.num_classes:,} classes, {', and '.join(lacks)}: no accuracy says how well "
            "they are recognised"
        )


def small_classes(
    graph: TextGraph, counts: "np.ndarray[tuple[int], np.dtype[np.int64]]"
) -> Iterator[str]:
    """Reports classes too small for a random split."""
    small = np.flatnonzero(counts < FEW_NODES)
    if not len(small):
        return
    shown = ", ".join(f"{graph.label_names[i]!r} {counts[i]}" for i in small[:SHOWN])
    more = f", and {len(small) - SHOWN:,} more" if len(small) > SHOWN else ""
    number = counted(len(small), "class", "classes")
    yield (
        f"{number} with fewer than {FEW_NODES} labelled nodes ({shown}{more}): too few to be in "
        "train, val and test at once"
    )
