"""A PyG `.pt` file: a dict of tensors and lists, or a `Data` object; never anything that runs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np

from graph.builder import Built, Rules, build_graph
from graph.errors import BadInputError, SourceError
from graph.progress import Progress, silent
from graph.readers.pyg_values import (
    array_of,
    find_ids,
    find_labels,
    find_masks,
    find_texts,
    told,
)
from graph.records import EdgeTable, NodeTable, Source, null_strings

# What torch's restricted unpickler raises on bytes that are no pickle at all.
GARBAGE = (RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError)
UNSAFE_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


@dataclass(frozen=True)
class PygKeys:
    """Keys that the user gave; an empty one is looked for among the usual ones."""

    text: str = ""
    label_names: str = ""
    mask_column: int = 0  # of masks with several columns, one for each of several splits


def pyg_graph(path: Path, keys: PygKeys, rules: Rules, progress: Progress = silent) -> Built:
    """Reads a graph with texts from a file that PyG, or torch, has saved.

    Raises:
        SourceError: it cannot be read, or torch is not installed.
        BadInputError: it would have to run code, or lacks edges or texts.
    """
    progress(f"read {path.name}", 0, 1)
    values = load_values(path)
    progress(f"read {path.name}", 1, 1)
    texts = find_texts(path, values, keys.text)
    count = len(texts)
    places = np.arange(count, dtype=np.int64)
    nodes = NodeTable(
        Source(str(path), "node"),
        places,
        ids=find_ids(path, values, count),
        texts=texts,
        labels=find_labels(path, values, keys.label_names, count),
        splits=null_strings(count),
        groups=null_strings(count),
    )
    pairs = array_of(path, "edge_index", values.get("edge_index"))
    if pairs.ndim != 2 or pairs.shape[0] != 2 or pairs.dtype.kind not in "iu":
        raise BadInputError(f"{path}: 'edge_index' must be integers [2, E], not {told(pairs)}")
    numbers = np.arange(pairs.shape[1], dtype=np.int64)
    sources, targets = pairs.astype(np.int64)
    edges = EdgeTable(Source(str(path), "edge"), numbers, sources, targets)
    members = find_masks(path, values, keys.mask_column, count)
    return build_graph(
        [nodes], [edges], name=path.stem, source=str(path), rules=rules, members=members
    )


def load_values(path: Path) -> Mapping[str, Any]:
    """The file's attributes by name, loaded without running anything in it.

    Raises:
        SourceError: it cannot be read, or torch is not installed.
        BadInputError: it would have to run code, or is no such file.
    """
    try:
        import torch
    except ImportError as error:
        raise SourceError(
            "reading a .pt file needs torch: pip install 'understudy[training]'"
        ) from error
    try:
        with torch.serialization.safe_globals(data_classes()):
            value = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        unsafe = UNSAFE_GLOBAL.search(str(error))
        if unsafe is None:
            raise BadInputError(
                f"{path}: no file that torch has saved, or a damaged one"
            ) from error
        raise BadInputError(
            f"{path}: loading it would run code of {unsafe.group(1)}, which is refused; where the "
            "file was made, save a dict of tensors and lists: torch.save(data.to_dict(), path)"
        ) from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except GARBAGE as error:
        raise BadInputError(f"{path}: no file that torch has saved, or a damaged one") from error
    if isinstance(value, (tuple, list)) and value:
        value = value[0]  # (data, slices, class), as PyG's in-memory data sets are saved
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if not isinstance(value, Mapping) or "edge_index" not in value:
        found = ", ".join(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
        raise BadInputError(f"{path}: no 'edge_index' in it; found: {found}")
    return value


def data_classes() -> list[Any]:
    """What a saved `Data` is made of; plain containers, which PyG's own list of safe ones lacks."""
    try:
        from torch_geometric.data import Data
        from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr
        from torch_geometric.data.storage import GlobalStorage
    except ImportError:
        return []
    return [Data, DataEdgeAttr, DataTensorAttr, GlobalStorage]
