"""Finds texts, ids, labels and edges of a PyG data object under their usual names."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.graph.building import cells
from understudy.graph.building.records import null_strings, optional_strings
from understudy.graph.building.repairs import RepairLog
from understudy.graph.errors import BadInputError
from understudy.graph.numerals import EXACT_FLOATS, renamed, whole_number
from understudy.graph.readers.arrays import array_of, exact_up_to, find_key, shape_of
from understudy.graph.readers.class_names import named_labels, read_names
from understudy.graph.readers.finding import NOT_READ
from understudy.graph.text_graph import string_array

TEXT_KEYS = ("raw_texts", "raw_text", "texts", "text", "node_texts", "node_text")
TITLE_KEYS = ("title", "titles")
BODY_KEYS = ("abs", "abstract", "abstracts", "description", "content")
LABEL_NAME_KEYS = (
    "label_names",
    "label_name",
    "category_names",
    "class_names",
    "class_name",
    "category_name",
    "label_texts",
    "label_text",
    "classes",
)
LABEL_KEYS = ("y", "label", "labels")
ID_KEYS = ("node_ids", "node_id", "ids", "id", "node_names")
ADJACENCY_KEYS = ("adj_t", "adj")


@dataclass
class Attributes:
    """The values of one file, and the roles of those that were used."""

    path: Path
    values: Mapping[str, Any]
    log: RepairLog
    used: dict[str, list[str]] = field(default_factory=dict)

    def take(self, role: str, given: str, usual: tuple[str, ...]) -> str | None:
        """The key for a role, which counts as used from now on."""
        key = find_key(self.values, given, usual)
        if key is not None:
            self.used.setdefault(role, []).append(key)
        return key

    def array(self, key: str) -> NDArray[Any]:
        return array_of(self.path, key, self.values[key])

    def listed(self) -> str:
        return ", ".join(map(str, self.values))

    def unread(self) -> list[str]:
        taken = {key for keys in self.used.values() for key in keys}
        return [
            str(key) for key, value in self.values.items() if key not in taken and value is not None
        ]


def find_texts(data: Attributes, given: str) -> pa.LargeStringArray:
    """large_string [N]: the texts, or titles and abstracts joined."""
    key = data.take("text", given, TEXT_KEYS)
    if key is None:
        title = None if given else data.take("text", "", TITLE_KEYS)
        if title is None:
            wanted = given or f"texts (looked for {', '.join(TEXT_KEYS)})"
            raise BadInputError(
                f"{data.path}: no {wanted}; found: {data.listed()}; name them with --text-key"
            )
        titles = strings(data, title)
        body = data.take("text", "", BODY_KEYS)
        bodies = strings(data, body, len(titles)) if body else [None] * len(titles)
        texts = [cells.joined(pair) for pair in zip(titles, bodies, strict=True)]
    else:
        texts = strings(data, key)
    mapped = data.take("text", "", ("node_map",))
    if mapped is not None:
        texts = at_nodes(data, mapped, texts)
    return optional_strings(texts)


def at_nodes(data: Attributes, key: str, texts: list[str | None]) -> list[str | None]:
    """The text of every node, if several nodes share one by its position."""
    positions = data.array(key)
    if positions.ndim != 1 or positions.dtype.kind not in "iu":
        raise BadInputError(
            f"{data.path}: {key!r} must be positions of texts, not {shape_of(positions)}"
        )
    if len(positions) and not 0 <= positions.min() <= positions.max() < len(texts):
        raise BadInputError(f"{data.path}: {key!r} names a text that is not there")
    return [texts[position] for position in positions.tolist()]


def strings(data: Attributes, key: str, count: int | None = None) -> list[str | None]:
    """A list of optional strings.

    Raises:
        BadInputError: it is something else, empty, or of another length.
    """
    values = data.values[key]
    if isinstance(values, np.ndarray) and values.dtype.kind in "UOT" and values.ndim == 1:
        values = values.tolist()
    if not isinstance(values, (list, tuple)):
        kind = shape_of(values) if isinstance(values, np.ndarray) else type(values).__name__
        raise BadInputError(f"{data.path}: {key!r} must be a list of strings, not {kind}")
    if not values:
        raise BadInputError(
            f"{data.path}: {key!r} is empty; expected a text for each node (--text-key)"
        )
    if count is not None and len(values) != count:
        raise BadInputError(
            f"{data.path}: {key!r} must be a list of {count:,} strings, it has {len(values):,}"
        )
    return each_of(data.path, key, values, cells.text_of)


def each_of(
    path: Path, key: str, values: Iterable[Any], of: Callable[[Any], str | None]
) -> list[str | None]:
    """Applies `of` to the value of every node.

    Raises:
        BadInputError: a value is invalid; the message names its node.
    """
    results = []
    for node, value in enumerate(values):
        try:
            results.append(of(value.item() if isinstance(value, np.generic) else value))
        except cells.CellError as error:
            wanted = str(error).partition(" (")[0]  # drops the option of other commands
            raise BadInputError(
                f"{path} node {node}: {key!r} must be {wanted}, found {value!r:.60}"
            ) from error
    return results


def find_ids(data: Attributes, count: int) -> pa.LargeStringArray:
    """large_string [N]: the nodes' ids if the file has them, otherwise their positions."""
    key = data.take("id", "", ID_KEYS)
    if key is None:
        return string_array(map(str, range(count)))
    ids = data.array(key)
    if ids.shape != (count,) or ids.dtype.kind not in "iuUfO":
        raise BadInputError(f"{data.path}: {key!r} must be {count:,} ids, not {shape_of(ids)}")
    if ids.dtype.kind in "iu":
        return string_array(map(str, ids.tolist()))
    exact = exact_up_to(data.values[key], ids)
    of = cells.name_of if ids.dtype.kind in "OU" else lambda value: cells.whole(value, exact)
    return optional_strings(each_of(data.path, key, ids.tolist(), of))


def find_labels(data: Attributes, given: str, names_given: str, count: int) -> pa.LargeStringArray:
    """large_string [N]: label names, or numbers if the file has no names.

    Raises:
        BadInputError: there is not one label for each node, or the names do not fit them.
    """
    key = None if given == NOT_READ else data.take("label", given, LABEL_KEYS)
    if given not in ("", NOT_READ) and key is None:
        raise BadInputError(f"{data.path}: no {given!r}; found: {data.listed()}")
    if key is None:
        refuse_names(data, names_given, "no labels are read")
        return null_strings(count)
    names_key = None
    if not given and "label_map" in data.values:  # maps the named labels to nodes
        names_key, key = key, data.take("label", "", ("label_map",)) or key
    labels = class_words(data, key, count)
    if labels.null_count < count and not has_numbers(labels):
        refuse_names(data, names_given, "the labels are names already")
    if names_key is None and names_given != NOT_READ and has_numbers(labels):
        names_key = data.take("class names", names_given, LABEL_NAME_KEYS)
        if names_given and names_key is None:
            raise BadInputError(f"{data.path}: no {names_given!r}; found: {data.listed()}")
    if names_key is None:
        truths = holds_truths(data.values[key])
        return renamed(labels, {"0": "false", "1": "true"}) if truths else labels
    names = read_names(str(data.path), names_key, data.values[names_key], labels)
    return named_labels(str(data.path), labels, names, data.log)


def refuse_names(data: Attributes, names_given: str, why: str) -> None:
    """Refuses names of classes that would not be read.

    Raises:
        BadInputError: they were requested.
    """
    if names_given not in ("", NOT_READ):
        raise BadInputError(
            f"{data.path}: {names_given!r} would not be read, since {why}; leave it out "
            "(--label-names-key)"
        )


def has_numbers(labels: pa.LargeStringArray) -> bool:
    """Whether some label is a class number, which may have a name elsewhere."""
    return any(whole_number(word) is not None for word in pc.unique(labels.drop_null()).to_pylist())


def class_words(data: Attributes, key: str, count: int) -> pa.LargeStringArray:
    """large_string [N]: the labels as words; class numbers as their digits.

    Raises:
        BadInputError: there is not one for each node.
    """
    value = data.values[key]
    if isinstance(value, (list, tuple)) and any(map(holds_words, value)):
        return label_strings(data, key, value, count)
    y = data.array(key)
    exact = exact_up_to(value, y)
    if y.ndim == 2 and y.shape[0] == count and y.shape[1] > 1:
        y, exact = from_one_hot(data, key, y), EXACT_FLOATS
    if y.size == count and y.ndim <= 2:
        y = y.reshape(count)
    if y.dtype.kind in "UO" and y.shape == (count,):
        return label_strings(data, key, y.tolist(), count)
    if y.shape != (count,) or y.dtype.kind not in "biuf":
        texts = "+".join(data.used.get("text", ()))
        raise BadInputError(
            f"{data.path}: {key!r} must be {count:,} class numbers, one for each text in "
            f"{texts!r}, not {shape_of(y)}"
        )
    if y.dtype.kind == "f":
        y = y.astype(np.float64)
        missing = np.isnan(y)
        if ((np.round(y) != y) | (np.abs(y) > exact))[~missing].any():
            raise BadInputError(
                f"{data.path}: {key!r} must be class numbers; found fractions, or numbers that are "
                f"too large to be exact (above {exact:,} in its type); save it as whole numbers"
            )
        words = pa.array(np.where(missing, 0, y).astype(np.int64), mask=missing)
        return words.cast(pa.large_string())
    return pa.array(y.astype(np.int64) if y.dtype.kind == "b" else y).cast(pa.large_string())


def holds_truths(value: Any) -> bool:
    """Whether an array has one boolean per node; one-hot rows have one per class."""
    if str(getattr(value, "dtype", "")) not in ("torch.bool", "bool"):
        return False
    return len(value.shape) < 2 or value.shape[1] == 1


def holds_words(item: Any) -> bool:
    """Whether a label is a name, or a list of names."""
    return isinstance(item, str) or (
        isinstance(item, (list, tuple)) and any(map(holds_words, item))
    )


def label_strings(data: Attributes, key: str, values: Any, count: int) -> pa.LargeStringArray:
    """Labels that are names already, null if there is none."""
    if len(values) != count:
        raise BadInputError(
            f"{data.path}: {key!r} must be {count:,} labels, one for each text, it has "
            f"{len(values):,}"
        )
    return optional_strings(each_of(data.path, key, map(as_list, values), cells.label_of))


def as_list(value: Any) -> Any:
    """Converts a tuple, which may hold labels, to a list."""
    return list(value) if isinstance(value, tuple) else value


def from_one_hot(data: Attributes, key: str, y: NDArray[Any]) -> NDArray[Any]:
    """Class numbers [N] from one-hot rows [N, C]; a row of zeros means no label.

    Raises:
        BadInputError: a node has several labels, or the rows hold other numbers.
    """
    ones = y.astype(np.float64)
    if not np.isin(ones, (0, 1)).all():
        raise BadInputError(
            f"{data.path}: {key!r} must be {len(y):,} class numbers, not {shape_of(y)}"
        )
    totals = ones.sum(axis=1)
    if (totals > 1).any():
        node = int(np.argmax(totals > 1))
        raise BadInputError(
            f"{data.path} node {node}: {key!r} gives it {int(totals[node])} labels; a node may "
            "have one"
        )
    return np.where(totals == 1, ones.argmax(axis=1).astype(np.float64), np.nan)


def find_edges(data: Attributes) -> NDArray[np.int64]:
    """int64 [2, E]: the edges, from `edge_index` or a sparse adjacency matrix.

    Raises:
        BadInputError: there are none, or they are something else.
    """
    key = data.take("edges", "", ("edge_index",))
    if key is None:
        key = data.take("edges", "", ADJACENCY_KEYS)
        if key is None:
            raise BadInputError(f"{data.path}: no 'edge_index' in it; found: {data.listed()}")
        return sparse_edges(data, key)
    pairs = data.array(key)
    if pairs.size == 0:
        return np.empty((2, 0), np.int64)
    if pairs.ndim != 2 or pairs.shape[0] != 2 or pairs.dtype.kind not in "iu":
        advice = "; save its transpose" if pairs.ndim == 2 and pairs.shape[1] == 2 else ""
        raise BadInputError(
            f"{data.path}: {key!r} must be integers [2, E], not {shape_of(pairs)}{advice}"
        )
    return pairs.astype(np.int64)


def sparse_edges(data: Attributes, key: str) -> NDArray[np.int64]:
    """The indices of a sparse torch matrix."""
    value = data.values[key]
    if not str(getattr(value, "layout", "")).startswith("torch.sparse"):
        dense = hasattr(value, "to_sparse")
        what = "a dense one" if dense else type(value).__name__
        advice = f", or {key}.to_sparse()" if dense else ""
        raise BadInputError(
            f"{data.path}: {key!r} must be a sparse tensor of torch, not {what}; "
            f"save edge_index in its place{advice}"
        )
    import torch  # it has made the value, so it is installed

    with torch.sparse.check_sparse_tensor_invariants(True):
        indices: NDArray[np.int64] = value.to_sparse_coo().coalesce().indices().numpy()
    return indices
