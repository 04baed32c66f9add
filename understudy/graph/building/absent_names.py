"""Names that seem to say that there is none: a node called `nan`, a class called `unknown`."""

from collections.abc import Callable, Iterator

import numpy as np

from understudy.counting import counted
from understudy.graph.missing import UNKNOWN_MARKS, missing_words
from understudy.graph.names import plain_form
from understudy.graph.text_graph import UNLABELED, TextGraph

SHOWN = 5
# As classes; words for a missing value are read as no label before.
SIGNS = {"-", "--", "---", "\u2013", "\u2014", ".", "..."}
SHORT = {"n.a.", "na", "nil", "none", "tbd", "unk"}
UNKNOWN = {"unknown", "undefined", "unspecified", "unassigned", "missing", "blank", "empty"}
UNSORTED = {"unlabeled", "unlabelled", "uncategorized", "uncategorised", "unclassified"}
PHRASES = {"no label", "no category", "no class", "not available", "not set", "not specified"}
NO_LABEL = SIGNS | SHORT | UNKNOWN | UNSORTED | PHRASES
AROUND = "()[]<>{}"


def absent_names(graph: TextGraph, place: Callable[[int], str]) -> Iterator[str]:
    """Reports nodes and classes with such names.

    Args:
        place: where a node's id was read, in words.
    """
    words = missing_words(graph.ids, UNKNOWN_MARKS).to_numpy(zero_copy_only=False)
    if words.any():
        nodes = np.flatnonzero(words)
        degrees = graph.adjacency.degrees[nodes]
        shown = ", ".join(f"{graph.ids[n].as_py()!r} ({place(n)})" for n in nodes[:SHOWN].tolist())
        yield (
            f"{counted(len(nodes), 'node')} with a word for a missing value as the id, {shown}, "
            f"and {counted(int(degrees.sum()), 'link')}: if it stands for gaps in the data, remove "
            "such nodes, and their edges with --skip-unknown"
        )
    counts = np.bincount(graph.labels[graph.labels != UNLABELED], minlength=graph.num_classes)
    found = [
        f"{name!r} ({counted(count, 'node')})"
        for name, count in zip(graph.label_names, counts.tolist(), strict=True)
        if plain_form(name).strip(AROUND) in NO_LABEL
    ]
    if found:
        yield (
            f"read as a class: {', '.join(found)}; if that means that there is no label, empty "
            "these nodes' cells, or a model learns to answer so"
        )
