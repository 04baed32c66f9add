"""Reads a PyG `.pt` file: a dict of tensors and lists, or a `Data` object, without running code."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from understudy.counting import counted
from understudy.graph.building.builder import Built, GivenSplit, Rules, build_graph
from understudy.graph.building.reading import Reading
from understudy.graph.building.records import EdgeTable, NodeTable, Source, null_strings
from understudy.graph.building.repairs import RepairLog
from understudy.graph.building.split_names import unread_splits
from understudy.graph.errors import BadInputError
from understudy.graph.readers.masks import find_split
from understudy.graph.readers.pyg_values import (
    Attributes,
    find_edges,
    find_ids,
    find_labels,
    find_texts,
)
from understudy.graph.readers.torch_files import graph_values, load_file
from understudy.graph.readers.usual_names import check_named
from understudy.progress import Progress, silent

SPLIT_KEYS = "save it as train_mask, val_mask and test_mask, or as a dict split_idx"


@dataclass(frozen=True)
class PygKeys:
    """Keys that the user gave; an empty one is looked for among the usual ones.

    Raises:
        BadInputError: one is no name.
    """

    text: str = ""
    label_names: str = ""  # none: the numbers are the names
    mask_column: int = 0  # which column to use if masks have one for each of several splits
    label: str = ""  # none: no labels are read

    def __post_init__(self) -> None:
        check_named(text_key=self.text, label_key=self.label, label_names_key=self.label_names)


def pyg_graph(path: Path, keys: PygKeys, rules: Rules, progress: Progress = silent) -> Built:
    """Reads a graph with texts from a file that PyG, torch or NumPy has saved.

    Raises:
        SourceError: it cannot be read, or torch is not installed.
        BadInputError: it would have to run code, or lacks edges or texts.
    """
    progress(f"read {path.name}", 0, 1)
    data = Attributes(path, graph_values(path, load_file(path)), RepairLog())
    progress(f"read {path.name}", 1, 1)
    return built_of(data, keys, rules, progress)


def built_of(data: Attributes, keys: PygKeys, rules: Rules, progress: Progress = silent) -> Built:
    """Builds the graph from the attributes of a PyG object.

    Raises:
        BadInputError: it lacks edges or texts, or a value does not fit the others.
    """
    path = data.path
    pairs = find_edges(data)
    texts = find_texts(data, keys.text)
    count = len(texts)
    check_count(data, count)
    ids = find_ids(data, count)
    labels = find_labels(data, keys.label, keys.label_names, count)
    split = find_split(path, data.values, keys.mask_column, count)
    if split is not None:
        data.used["split"] = list(split.keys)
    elif keys.mask_column:
        raise BadInputError(
            f"{path}: it has no masks, so there is no column {keys.mask_column}; leave "
            "--mask-column out"
        )
    nodes = NodeTable(
        Source(str(path), "node"),
        np.arange(count, dtype=np.int64),
        ids=ids,
        texts=texts,
        labels=labels,
        splits=null_strings(count),
        groups=null_strings(count),
        reading=Reading(path.name, data.used, data.unread()),
    )
    numbers = np.arange(pairs.shape[1], dtype=np.int64)
    edges = EdgeTable(Source(str(path), "edge"), numbers, pairs[0], pairs[1])
    built = build_graph(
        [nodes],
        [edges],
        name=path.stem,
        source=str(path),
        rules=rules,
        given=None if split is None else GivenSplit(split.members, split.origin),
        log=data.log,
        progress=progress,
    )
    if not built.random_split:
        return built
    return replace(built, remarks=(*built.remarks, *unread_splits(data.unread(), SPLIT_KEYS)))


def check_count(data: Attributes, count: int) -> None:
    """Checks that the number of texts equals the file's number of nodes.

    Raises:
        BadInputError: there are more, or fewer.
    """
    num_nodes: Any = data.values.get("num_nodes")
    if getattr(num_nodes, "ndim", None) == 0:  # a tensor of one number
        num_nodes = num_nodes.item()
    shape = tuple(getattr(data.values.get("x"), "shape", ()))
    for key, number in (("num_nodes", num_nodes), ("x", shape[0] if shape else None)):
        if isinstance(number, int) and number != count:
            data_keys = "+".join(data.used["text"])
            raise BadInputError(
                f"{data.path}: {counted(count, 'text')} in {data_keys!r} for "
                f"{counted(number, 'node')} ({key!r})"
            )
    data.used.setdefault("nodes", []).extend(["num_nodes"] if isinstance(num_nodes, int) else [])
