"""Remarks on classes that a repair took out of the graph, or gave no text of their own."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.graph.building.node_checks import NodeColumns
from understudy.graph.text_graph import UNLABELED, TextGraph

SHOWN = 5


def class_losses(
    graph: TextGraph, records: NodeColumns, kept: NDArray[np.int64], missing_text: str
) -> Iterator[str]:
    """Reports classes of the records that the graph lacks, and those without any text.

    Args:
        kept: int64 [N], the record of every node.
        missing_text: the rule for nodes without a text.
    """
    names = pc.value_counts(records.labels.drop_null()).to_pylist()
    counts = {entry["values"]: entry["counts"] for entry in names}
    known = set(graph.label_names)
    if gone := [f"{name!r} ({count:,})" for name, count in counts.items() if name not in known]:
        yield (
            f"no node that is left has a label of {in_words(gone)}: the graph lacks "
            f"{'this class' if len(gone) == 1 else 'these classes'}, and no student will know "
            f"{'it' if len(gone) == 1 else 'them'}"
        )
    if missing_text != "id":
        return
    written = records.texts.take(pa.array(kept)).is_valid().to_numpy(zero_copy_only=False)
    labeled = graph.labels != UNLABELED
    having = np.bincount(graph.labels[labeled & written], minlength=graph.num_classes)
    if unwritten := [repr(graph.label_names[index]) for index in np.flatnonzero(having == 0)]:
        yield (
            f"no node with the label {in_words(unwritten)} has a text of its own: a model can only "
            "tell it by its nodes' ids and neighbours"
        )


def in_words(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
