"""A folder as the Open Graph Benchmark lays out its node data sets, with a file of texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graph.builder import Built, Rules, build_graph
from graph.errors import BadInputError
from graph.progress import Progress, silent
from graph.readers.fields import NodeFields
from graph.readers.ogb_files import (
    integers,
    label_names,
    node_count,
    node_ids,
    read_split,
    table_file,
)
from graph.readers.pyg_values import named_labels
from graph.readers.tables import read_nodes
from graph.readers.text_lines import read_lines
from graph.records import EdgeTable, NodeTable, Source, null_strings, optional_strings
from graph.text_graph import string_array


@dataclass(frozen=True)
class OgbOptions:
    """Where the texts are, and which split of several is meant."""

    texts: Path  # id, title, abstract without a header (.tsv), or any node file
    split: str = ""  # a folder in split/; empty where there is only one
    fields: NodeFields = NodeFields()  # noqa: RUF009 — frozen


def ogb_graph(
    folder: Path, options: OgbOptions, rules: Rules, progress: Progress = silent
) -> Built:
    """Reads raw/, split/ and mapping/ of `folder`, and the texts.

    Raises:
        SourceError: a file is missing or cannot be read.
        BadInputError: a file is damaged, or does not fit the others.
    """
    count = node_count(folder)
    ids = node_ids(folder, count)
    labels_file = table_file(folder, "raw/node-label")
    y = integers(labels_file, 1)[:, 0]
    if len(y) != count:
        raise BadInputError(f"{labels_file}: {len(y):,} labels for {count:,} nodes")
    texts_by_id = read_texts(options, progress)
    nodes = NodeTable(
        Source(str(options.texts), "node"),
        np.arange(count, dtype=np.int64),
        ids=ids,
        texts=texts_by_id.take(ids),
        labels=named_labels(labels_file, y, label_names(folder)),
        splits=null_strings(count),
        groups=null_strings(count),
    )
    edge_file = table_file(folder, "raw/edge")
    progress(f"read {edge_file.name}", 0, 1)
    pairs = integers(edge_file, 2)
    progress(f"read {edge_file.name}", 1, 1)
    lines = np.arange(1, len(pairs) + 1, dtype=np.int64)
    edges = EdgeTable(Source(str(edge_file)), lines, pairs[:, 0], pairs[:, 1])
    members = read_split(folder, options.split, count)
    return build_graph(
        [nodes], [edges], name=folder.name, source=str(folder), rules=rules, members=members
    )


@dataclass(frozen=True)
class TextsById:
    """Texts found by the id of their node.

    Shapes:
        ids, texts: large_string [n]
    """

    ids: pa.LargeStringArray
    texts: pa.LargeStringArray

    def take(self, ids: pa.LargeStringArray) -> pa.LargeStringArray:
        """The text of each id, null where there is none."""
        return self.texts.take(pc.index_in(ids, value_set=self.ids))


def read_texts(options: OgbOptions, progress: Progress) -> TextsById:
    """Reads the texts: any node file, or tab-separated id, title, abstract without a header."""
    path = options.texts
    name = path.name.lower().removesuffix(".gz")
    if not name.endswith((".tsv", ".tab", ".txt")):
        table = read_nodes(path, options.fields, progress)
        return TextsById(pc.utf8_trim_whitespace(table.ids), table.texts)
    ids: list[str] = []
    texts: list[str | None] = []
    for number, line in enumerate(read_lines(path), 1):
        identifier, _, rest = line.rstrip("\r\n").partition("\t")
        parts: Sequence[str] = [part.strip() for part in rest.split("\t")]
        ids.append(identifier.strip())
        texts.append("\n".join(part for part in parts if part) or None)
        if number % 50_000 == 0:
            progress(f"read {path.name}", number, 0)
    progress(f"read {path.name}", len(ids), len(ids))
    return TextsById(string_array(ids), optional_strings(texts))
