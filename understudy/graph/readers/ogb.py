"""Reads a node data set in the folder layout of the Open Graph Benchmark, with a file of texts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.counting import counted
from understudy.graph.building import cells
from understudy.graph.building.builder import Built, Rules, build_graph
from understudy.graph.building.reading import Reading
from understudy.graph.building.records import (
    EdgeTable,
    NodeTable,
    Source,
    null_strings,
    optional_strings,
)
from understudy.graph.building.repairs import RepairLog
from understudy.graph.errors import BadInputError
from understudy.graph.numerals import all_whole, as_integers
from understudy.graph.readers.class_names import named_labels
from understudy.graph.readers.fields import NodeFields
from understudy.graph.readers.finding import NOT_READ
from understudy.graph.readers.formats import Files
from understudy.graph.readers.ogb_files import (
    check_begins,
    check_edge_count,
    class_numbers,
    integers,
    label_names,
    node_count,
    node_ids,
    read_split,
    table_file,
)
from understudy.graph.readers.packed import unpacked_name
from understudy.graph.readers.tables import read_nodes
from understudy.graph.readers.text_lines import read_lines
from understudy.graph.text_graph import string_array
from understudy.progress import Progress, silent

WITHOUT_NAMES = "without mapping/labelidx2…"


@dataclass(frozen=True)
class OgbOptions:
    """The file of texts, and the choice among several splits."""

    texts: Path  # id, title, abstract without a header (.tsv), or any node file
    split: str = ""  # a folder in split/; empty if there is only one
    id_field: str = ""  # of a node file with the texts; empty: one of the usual names
    text_field: tuple[str, ...] = ()


def ogb_graph(
    folder: Path, options: OgbOptions, rules: Rules, progress: Progress = silent
) -> Built:
    """Reads raw/, split/ and mapping/ of `folder`, and the texts.

    Raises:
        SourceError: a file is missing or cannot be read.
        BadInputError: a file is damaged, or does not fit the others.
    """
    count, log = node_count(folder), RepairLog()
    ids = plain_ids(node_ids(folder, count))
    labels_file = table_file(folder, "raw/node-label")
    labels = class_numbers(labels_file)
    if len(labels) != count:
        raise BadInputError(
            f"{labels_file}: {counted(len(labels), 'label')} for {counted(count, 'node')}"
        )
    edge_file = table_file(folder, "raw/edge")
    check_begins(edge_file, 2)
    given_split = read_split(folder, options.split, count)
    texts = read_texts(options, progress)
    nodes = NodeTable(
        Source(str(options.texts), "node"),
        np.arange(count, dtype=np.int64),
        ids=ids,
        texts=texts.take(ids, log),
        labels=named_labels(str(labels_file), labels, label_names(folder), log, WITHOUT_NAMES),
        splits=null_strings(count),
        groups=null_strings(count),
        reading=texts.reading,
    )
    pairs = integers(edge_file, 2, progress)
    check_edge_count(folder, edge_file, len(pairs))
    lines = np.arange(1, len(pairs) + 1, dtype=np.int64)
    edges = EdgeTable(Source(str(edge_file)), lines, pairs[:, 0], pairs[:, 1])
    return build_graph(
        [nodes],
        [edges],
        name=folder.name,
        source=str(folder),
        rules=rules,
        given=given_split,
        log=log,
        progress=progress,
    )


@dataclass(frozen=True)
class TextsById:
    """Texts by the id of their node.

    Shapes:
        ids, texts: large_string [n]
        places: int64 [n]
    """

    source: Source
    places: "np.ndarray[tuple[int], np.dtype[np.int64]]"
    ids: pa.LargeStringArray
    texts: pa.LargeStringArray
    reading: Reading

    def take(self, ids: pa.LargeStringArray, log: RepairLog) -> pa.LargeStringArray:
        """The text of each id, null if there is none.

        Raises:
            BadInputError: a node has two different texts, or no text is of a node.
        """
        wanted = np.flatnonzero(pc.is_in(self.ids, value_set=ids).to_numpy(zero_copy_only=False))
        if len(ids) and len(self.ids) and not len(wanted):
            raise BadInputError(
                f"{self.source.file}: no text is of a node: its ids look like "
                f"{self.ids[0].as_py()!r:.100}, those of nodes like {ids[0].as_py()!r:.100}; they "
                "must be those in mapping/, or positions of nodes where that has none"
            )
        codes = self.ids.take(pa.array(wanted)).dictionary_encode().indices.to_numpy(False)
        _, first = np.unique(codes, return_index=True)
        first_of = wanted[first[codes]]
        for row, earlier in zip(wanted.tolist(), first_of.tolist(), strict=True):
            if row == earlier:
                continue
            if self.texts[row].as_py() != self.texts[earlier].as_py():
                raise BadInputError(
                    f"{self.at(row)}: id {self.ids[row].as_py()!r} is already at "
                    f"{self.at(earlier)} with another text; remove one of them"
                )
            log.add("repeated_texts", 1, self.at(row))
        return self.texts.take(pc.index_in(ids, value_set=self.ids))

    def at(self, row: int) -> str:
        return self.source.at(int(self.places[row]))


def read_texts(options: OgbOptions, progress: Progress) -> TextsById:
    """Reads the texts: any node file, or tab-separated id, title, abstract without a header."""
    path = options.texts
    if unpacked_name(path).endswith((".tsv", ".tab", ".txt")):
        if options.id_field or options.text_field:
            raise BadInputError(
                f"{path}: --id-field and --text-field name columns, and such a file is read "
                "without a header, as id, title, abstract; leave them out, or give a .csv"
            )
        return read_headerless(path, progress)
    fields = NodeFields(
        options.id_field, options.text_field, NOT_READ, NOT_READ, neighbors=NOT_READ
    )
    tables = read_nodes([path], fields, Files(progress=progress))
    table = tables[0]
    if len(tables) > 1:
        raise BadInputError(f"{path}: a folder of {len(tables)} files; join the texts in one")
    ids = plain_ids(pc.utf8_trim_whitespace(table.ids))
    return TextsById(table.source, table.places, ids, table.texts, table.reading)


def plain_ids(ids: pa.LargeStringArray) -> pa.LargeStringArray:
    """Converts ids that are floats, as pandas makes of a column with gaps, back to integers."""
    return as_integers(ids) if all_whole(ids) else ids


def read_headerless(path: Path, progress: Progress) -> TextsById:
    """Reads tab-separated id, title, abstract; quotes have no special meaning."""
    ids: list[str] = []
    texts: list[str | None] = []
    for line in read_lines(path, progress):
        identifier, _, rest = line.rstrip("\r\n").partition("\t")
        ids.append(identifier.strip())
        parts = [cells.text_of(part.strip()) for part in rest.split("\t")]
        texts.append("\n".join(part for part in parts if part) or None)
    reading = Reading(str(path), {"id": ("1",), "text": ("2", "3")}, named=False)
    places = np.arange(1, len(ids) + 1, dtype=np.int64)
    names = plain_ids(string_array(ids))
    return TextsById(Source(str(path)), places, names, optional_strings(texts), reading)
