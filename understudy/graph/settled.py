"""Normalises the fields of a graph that a user has set to the types that `TextGraph` documents, or
refuses them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.graph.errors import BadInputError
from understudy.graph.splits import SPLIT_NAMES, check_apart
from understudy.graph.text_graph import UNLABELED, TextGraph, string_array


def settled(graph: TextGraph) -> TextGraph:
    """Converts lists, other number types, masks and unsorted members to the documented types. The
    result is a new graph with a fresh content hash, since arrays may have been changed in place.

    Raises:
        BadInputError: a field does not fit the others; the message names it.
    """
    count = graph.adjacency.num_nodes
    fields: dict[str, Any] = {
        "ids": strings("ids", graph.ids, count),
        "texts": strings("texts", graph.texts, count),
        "labels": numbers("labels", graph.labels, count),
        "label_names": label_names(graph.label_names),
        "splits": splits(graph.splits, count),
    }
    if graph.groups is not None:
        fields["groups"] = numbers("groups", graph.groups, count)
    if pc.count_distinct(fields["ids"]).as_py() < count:
        raise BadInputError("the graph's ids: two nodes have one id; each needs its own")
    check_labels(fields["labels"], fields["label_names"])
    found = replace(graph, **fields)
    check_apart(found)
    return found


def strings(name: str, value: Any, count: int) -> pa.LargeStringArray:
    """Converts strings to large_string [N].

    Raises:
        BadInputError: there is not one for each node, or one is no string.
    """
    found = value
    if not isinstance(value, pa.LargeStringArray):
        items = value.to_pylist() if hasattr(value, "to_pylist") else value
        try:
            found = string_array(items)
        except (pa.ArrowException, TypeError) as error:
            raise BadInputError(f"the graph's {name} must be strings: {error}") from error
    if len(found) != count or found.null_count:
        filled = len(found) - found.null_count
        raise BadInputError(
            f"the graph's {name} must be one for each of its {count:,} nodes, not {filled:,}"
        )
    return found


def numbers(name: str, value: Any, count: int) -> NDArray[np.int64]:
    """Converts numbers to int64 [N].

    Raises:
        BadInputError: they are not whole numbers, one for each node.
    """
    found = np.asarray(value)
    whole = found.dtype.kind in "iu" and not np.ma.is_masked(value)
    if found.shape != (count,) or not whole:
        raise BadInputError(
            f"the graph's {name} must be whole numbers, one for each of its {count:,} nodes, not "
            f"{found.dtype} {list(found.shape)}"
        )
    return found.astype(np.int64, copy=False)


def label_names(value: Any) -> tuple[str, ...]:
    """Checks the names of classes.

    Raises:
        BadInputError: one is no string, or two are alike.
    """
    found = value if isinstance(value, tuple) else tuple(value)
    wrong = next((name for name in found if not isinstance(name, str) or not name), None)
    if wrong is not None or len(set(found)) < len(found):
        problem = "two are alike" if wrong is None else f"found {wrong!r:.60}"
        raise BadInputError(f"the graph's label_names must be strings, each of its own; {problem}")
    return found


def check_labels(labels: NDArray[np.int64], names: tuple[str, ...]) -> None:
    """Refuses a class number without a name.

    Raises:
        BadInputError: there is one.
    """
    outside = (labels < UNLABELED) | (labels >= len(names))
    if outside.any():
        node = int(np.argmax(outside))
        raise BadInputError(
            f"the graph's labels: node {node} has {labels[node]}, and there are "
            f"{len(names):,} label_names, from 0; {UNLABELED} is none"
        )


def splits(value: Mapping[str, Any], count: int) -> Mapping[str, NDArray[np.int64]]:
    """Sorted int64 members by part.

    Raises:
        BadInputError: there is no such part, or a member is no node.
    """
    return {name: members(name, part, count) for name, part in value.items()}


def members(name: str, value: Any, count: int) -> NDArray[np.int64]:
    """The nodes of a part of a split; unchanged if it is sorted int64."""
    if name not in SPLIT_NAMES:
        raise BadInputError(f"the graph's splits are {', '.join(SPLIT_NAMES)}, not {name!r}")
    array = np.asarray(value)
    if not array.size:
        return array if array.dtype == np.int64 else np.empty(0, np.int64)
    if array.dtype.kind == "b" and array.shape == (count,):
        return np.flatnonzero(array)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise BadInputError(
            f"the graph's split {name!r} must be positions of nodes or a mask of {count:,}, not "
            f"{array.dtype} {list(array.shape)}"
        )
    if array.min() < 0 or array.max() >= count:
        wrong = array[(array < 0) | (array >= count)][0]
        raise BadInputError(
            f"the graph's split {name!r} holds {wrong}, which is no node; there are {count:,}, "
            "from 0"
        )
    found = array.astype(np.int64, copy=False)
    return found if (found[1:] >= found[:-1]).all() else np.sort(found)
