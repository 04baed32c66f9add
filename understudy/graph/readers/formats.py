"""Node and edge files of every format, told apart by their names, as rows of named values."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from understudy.graph.errors import BadInputError, SourceError
from understudy.graph.progress import Progress, silent
from understudy.graph.readers import networkx_files
from understudy.graph.readers.delimited import Header, Row, read_delimited
from understudy.graph.readers.dialects import find_dialect
from understudy.graph.readers.edge_lists import read_edge_list
from understudy.graph.readers.fields import is_edge_header, is_node_header, listed
from understudy.graph.readers.jsonl import document_rows, read_document, read_jsonl
from understudy.graph.readers.packed import unpacked_name
from understudy.graph.records import Source

Kind = Literal["nodes", "edges"]

PARQUET = (".parquet", ".pq")
JSON_LINES = (".jsonl", ".ndjson")
JSON = (".json",)
COMMA, TAB = (".csv",), (".tsv", ".tab")
EDGE_LISTS = (".txt", ".edges", ".edgelist", ".edge_list", ".el", ".cites")
GRAPHS = (*networkx_files.SUFFIXES, *JSON)  # nodes and edges may be in one file
FORMATS = (
    ".jsonl, .json, .csv, .tsv, .parquet, .graphml, .gexf or .gml "
    "(edges also .txt, .edges or .edgelist), each may be packed as .gz, .bz2, .xz or .zip"
)

Reader = Callable[[Path, Progress], Iterator[Row]]
READERS: dict[str, Reader] = {}  # of others, by suffix


def register_reader(suffix: str, read: Reader) -> None:
    """Adds a format of node and edge files, told by the end of their names, such as ".ltsv".

    Args:
        read: yields every record of a file as its line, its columns' names and their values.

    Raises:
        SourceError: the suffix is taken, or is none.
    """
    if not suffix.startswith(".") or suffix in suffixes("edges"):
        raise SourceError(f"{suffix!r} cannot be registered; give a suffix of your own, like .mine")
    READERS[suffix] = read


def suffixes(kind: Kind) -> tuple[str, ...]:
    """Of all formats of such files."""
    known = (*PARQUET, *JSON_LINES, *COMMA, *TAB, *GRAPHS, *READERS)
    return (*known, *EDGE_LISTS) if kind == "edges" else known


@dataclass(frozen=True)
class FileOptions:
    """What the user says of text files."""

    delimiter: str = ""  # empty: found in the header
    header: bool | None = None  # None: there is one, unless it holds numbers only


@dataclass(frozen=True)
class Rows:
    """The records of a file."""

    source: Source
    rows: Iterator[Row]
    remarks: Sequence[str] = ()  # whole once all rows were read
    numbered: bool = False  # columns may have no names but 1, 2, …
    own: bool = False  # id, source and target are the format's own, whatever else has such a name


def suffix_of(path: Path, kind: Kind) -> str:
    """What tells the format: the last suffix of the name without packing.

    Raises:
        SourceError: no known format.
    """
    suffix = Path(unpacked_name(path)).suffix
    if suffix in suffixes(kind):
        return suffix
    raise SourceError(
        f"{path}: unknown format; the name must end in {', '.join((*READERS, FORMATS))}"
    )


def parts_of(path: Path, kind: Kind) -> list[Path]:
    """A file by itself, or the parts that a folder holds, as Spark and Dask write them.

    They are in the order of their numbers: `part.2` comes before `part.10`.

    Raises:
        SourceError: a folder without parts, or with folders in it.
    """
    if not path.is_dir():
        return [path]
    inside = [part for part in path.iterdir() if part.name[0] not in "._"]
    inside.sort(key=lambda part: (by_numbers(part.name), part.name))
    folders = [part.name for part in inside if part.is_dir()]
    if folders or not inside:
        found = f"it holds folders ({', '.join(folders[:5])})" if folders else "it is empty"
        raise SourceError(f"{path}: expected a folder of files, the parts of one table; {found}")
    for part in inside:
        suffix_of(part, kind)
    return inside


def by_numbers(name: str) -> list[str | int]:
    """A name as words and numbers in turn, to be sorted by."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def open_rows(path: Path, kind: Kind, options: FileOptions, progress: Progress = silent) -> Rows:
    """The records of any file but Parquet.

    Raises:
        SourceError: it cannot be read, or is of no known format.
        BadInputError: it is damaged.
    """
    suffix = suffix_of(path, kind)
    if suffix in READERS:
        return Rows(Source(str(path)), even(path, READERS[suffix](path, progress)))
    header = Header(options.header, is_node_header if kind == "nodes" else is_edge_header)
    if suffix in EDGE_LISTS:
        remarks: list[str] = []
        rows = read_edge_list(path, header, progress, remarks.append)
        return Rows(Source(str(path)), rows, remarks, numbered=True)
    if suffix in (*COMMA, *TAB):
        dialect = find_dialect(path, "," if suffix in COMMA else "\t", options.delimiter)
        rows = read_delimited(path, dialect, header, progress)
        return Rows(Source(str(path)), rows, dialect.remarks, numbered=options.header is False)
    if suffix in networkx_files.SUFFIXES:
        graph = networkx_files.load(path, suffix, progress)
        found = networkx_files.edge_rows(graph)
        if kind == "nodes":
            found = networkx_files.node_rows(graph, suffix)
        return Rows(Source(str(path), kind[:-1]), found, own=True)
    document = read_document(path, progress) if suffix == ".json" else None
    if document is not None:
        found = document_rows(path, document[kind], kind == "edges")
        return Rows(Source(str(path), "item"), found, numbered=kind == "edges")
    found = read_jsonl(path, progress, kind == "edges")
    return Rows(Source(str(path)), found, numbered=kind == "edges")


def even(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    """The records of a registered reader, each of which has a value for every column.

    Raises:
        BadInputError: one has not.
    """
    for line, columns, values in rows:
        if len(columns) != len(values):
            raise BadInputError(
                f"{path}:{line}: {len(values)} values for {len(columns)} columns "
                f"({listed(columns)})"
            )
        yield line, columns, values


def holds_edges(path: Path) -> bool:
    """Whether a node file is a whole graph, whose edges are in it as well."""
    suffix = Path(unpacked_name(path)).suffix
    if suffix in networkx_files.SUFFIXES:
        return True
    document = read_document(path) if suffix == ".json" and not path.is_dir() else None
    return document is not None and document["nodes"] is not document["edges"]
