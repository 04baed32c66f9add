"""Copies a version of the mutable graph into new arrays."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.graph.csr import Adjacency
from understudy.graph.mutable.view import GraphView, NodeRecord
from understudy.graph.text_graph import TextGraph, own_groups


def whole_adjacency(view: GraphView) -> Adjacency:
    """All neighbours in compressed sparse rows; gaps are empty rows."""
    return view.adjacent(np.arange(view.num_rows))


def to_text_graph(view: GraphView) -> TextGraph:
    """The graph without gaps; the order of rows is kept."""
    live, base = view.live_rows(), view.parts.base
    ids, texts, labels = columns(base, view.parts.records.items(view.version), view.num_rows)
    moved = np.full(view.num_rows, -1, dtype=np.int64)
    moved[live] = np.arange(len(live))
    whole = whole_adjacency(view)
    adjacency = Adjacency(
        np.concatenate([np.zeros(1, np.int64), np.cumsum(whole.degrees[live])]),
        moved[whole.indices].astype(np.int32),  # gaps have no neighbours
    )
    return replace(
        base,
        label_names=view.label_names,
        lineage=None
        if base.lineage is None
        else replace(base.lineage, position=view.version.number),
        ids=ids.take(pa.array(live)),
        texts=texts.take(pa.array(live)),
        labels=labels[live],
        adjacency=adjacency,
        splits={name: closed_up(members, moved) for name, members in base.splits.items()},
        groups=kept_groups(view, live),
    )


def closed_up(members: NDArray[np.int64], moved: NDArray[np.int64]) -> NDArray[np.int64]:
    """The new rows of a split, without removed nodes."""
    rows = moved[members]
    return rows[rows >= 0]


def kept_groups(view: GraphView, live: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """int64 [live]: the base's groups; each added node is a group of its own."""
    base = view.parts.base.groups
    if base is None:
        return None
    groups = np.full(view.num_rows, -1, dtype=np.int64)
    groups[: len(base)] = base
    return own_groups(groups[live])


def columns(
    base: TextGraph, overlay: Mapping[int, NodeRecord], num_rows: int
) -> tuple[pa.LargeStringArray, pa.LargeStringArray, NDArray[np.int64]]:
    """Ids, texts and labels of all rows, including gaps."""
    changed = np.array(sorted(overlay), dtype=np.int64)
    records = [overlay[int(row)] for row in changed]
    # The base's rows come first, then the records; `order` selects from the concatenation.
    order = np.arange(num_rows, dtype=np.int64)
    order[changed] = base.num_nodes + np.arange(len(changed))
    ids, texts = (
        pa.concat_arrays([column, pa.array(values, pa.large_string())]).take(pa.array(order))
        for column, values in (
            (base.ids, [record.id for record in records]),
            (base.texts, [record.text for record in records]),
        )
    )
    added = np.array([record.label for record in records], dtype=np.int64)
    return ids, texts, np.concatenate([base.labels, added])[order]
