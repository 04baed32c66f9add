"""Reads node and edge files of every format, recognised by name, as rows of named values."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from understudy.counting import counted
from understudy.folders.kinds import GRAPH, marked
from understudy.graph.building.records import Source
from understudy.graph.errors import BadInputError, SourceError
from understudy.graph.readers import networkx_files
from understudy.graph.readers.delimited import Head, Header, Row, read_delimited, table_head
from understudy.graph.readers.dialects import find_dialect
from understudy.graph.readers.edge_lists import edge_list_head, read_edge_list
from understudy.graph.readers.fields import listed
from understudy.graph.readers.finding import is_edge_header, is_node_header
from understudy.graph.readers.jsonl import document_rows, read_document, read_jsonl
from understudy.graph.readers.packed import unpacked_name
from understudy.graph.readers.torch_files import DGL_ADVICE
from understudy.progress import Progress, silent

Kind = Literal["nodes", "edges"]

PARQUET = (".parquet", ".pq")
JSON_LINES = (".jsonl", ".ndjson")
JSON = (".json",)
COMMA, TAB = (".csv",), (".tsv", ".tab")
EDGE_LISTS = (".txt", ".edges", ".edgelist", ".edge_list", ".el", ".cites")
BY_LINES = (*COMMA, *TAB, *EDGE_LISTS)  # may have a header
GRAPHS = (*networkx_files.SUFFIXES, *JSON)  # nodes and edges may be in one file
FORMATS = (
    ".jsonl, .json, .csv, .tsv, .parquet, .graphml, .gexf or .gml "
    "(edges also .txt, .edges or .edgelist), each may be packed as .gz, .bz2, .xz or .zip"
)

# Descriptions of other files, by suffix, and advice.
ADVICE = {
    (
        "-",
        "/dev/stdin",
        "/dev/fd/0",
    ): "stdin is not supported; write it to a file whose name tells the format",
    (".gzip",): "packed by gzip; let its name end in .gz",
    (".zst", ".zstd"): "packed by zstd; unpack it: zstd -d",
    (".7z", ".rar", ".z", ".lz4", ".br", ".lzma"): "an unsupported compression; unpack it",
    (".xlsx", ".xls", ".xlsm", ".ods"): "a spreadsheet; save the sheet as CSV",
    (".xml",): "let its name end in .graphml or .gexf, if it is one of these",
    (".txt",): "let its name end in .csv, if it is a table; a comma, semicolon, tab or pipe is "
    "detected, another one is given with --delimiter",
    (".mtx", ".net", ".adjlist", ".mat", ".dot", ".gv"): "write its edges as a list, two ids "
    "a line, with a name that ends in .edgelist",
    (
        ".pt",
        ".pth",
        ".npz",
        ".pkl",
        ".pickle",
    ): "a graph that torch, PyG or NumPy has saved is read by `understudy data pyg`",
    (".dgl", ".bin"): f"if it is a graph of DGL: {DGL_ADVICE}",
    (".feather", ".arrow", ".orc", ".avro", ".h5", ".hdf5"): "save it as .parquet",
    (".db", ".sqlite", ".sqlite3", ".duckdb"): "a database; export its tables as CSV or Parquet",
}


Reader = Callable[[Path, Progress], Iterator[Row]]
READERS: dict[str, Reader] = {}  # registered ones, by suffix


def register_reader(suffix: str, read: Reader) -> None:
    """Registers a format of node and edge files by the suffix of their names, such as ".ltsv".

    Args:
        read: yields every record of a file as its line, its columns' names and their values.

    Raises:
        SourceError: the suffix is taken, or invalid.
    """
    if not suffix.startswith(".") or suffix in suffixes("edges"):
        raise SourceError(f"{suffix!r} cannot be registered; give a suffix of your own, like .mine")
    READERS[suffix] = read


def suffixes(kind: Kind) -> tuple[str, ...]:
    """The suffixes of all formats for such files."""
    known = (*PARQUET, *JSON_LINES, *COMMA, *TAB, *GRAPHS, *READERS)
    return (*known, *EDGE_LISTS) if kind == "edges" else known


@dataclass(frozen=True)
class FileOptions:
    """The user's options for text files."""

    delimiter: str = ""  # empty: inferred from the header
    header: bool | None = None  # None: there is one, unless it holds only numbers


@dataclass(frozen=True)
class Rows:
    """The records of a file."""

    source: Source
    rows: Iterator[Row]
    remarks: Sequence[str] = ()  # complete once all rows were read
    numbered: bool = False  # columns may have no names but 1, 2, …
    own: bool = False  # id, source and target belong to the format, not to the user's columns
    head: Head | None = None  # of tables and edge lists, if the first line determines it


def suffix_of(path: Path, kind: Kind) -> str:
    """The suffix that determines the format: the last one, ignoring compression.

    Raises:
        SourceError: no known format.
    """
    suffix = Path(unpacked_name(path)).suffix
    if suffix in suffixes(kind):
        return suffix
    names = (str(path), path.suffix.lower())
    advice = next((words for ends, words in ADVICE.items() if set(ends).intersection(names)), "")
    raise SourceError(
        f"{path}: unknown format{advice and f' ({advice})'}; the name must end in "
        f"{', '.join((*READERS, FORMATS))}"
    )


def parts_of(path: Path, kind: Kind) -> list[Path]:
    """A file itself, or the parts in a folder, as Spark and Dask write them.

    Parts are in numerical order: `part.2` comes before `part.10`.

    Raises:
        SourceError: a folder without parts, or with folders in it, or a graph folder.
    """
    if not path.is_dir():
        return [path]
    if marked(path, GRAPH) is not None:
        raise SourceError(f"{path} is already a graph folder: give it to the next command as it is")
    inside = [part for part in path.iterdir() if part.name[0] not in "._"]
    inside.sort(key=lambda part: (by_numbers(part.name), part.name))
    folders = [part.name for part in inside if part.is_dir()]
    if folders or not inside:
        present = f"it holds folders ({', '.join(folders[:5])})" if folders else "it is empty"
        raise SourceError(f"{path}: expected a folder of files, the parts of one table; {present}")
    for part in inside:
        suffix_of(part, kind)
    return inside


def by_numbers(name: str) -> list[str | int]:
    """Splits a name into words and numbers, as a sort key."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


class Files:
    """The files of one import. A file with a single value, such as a graph, is read once and kept
    for all uses.
    """

    def __init__(self, options: FileOptions | None = None, progress: Progress = silent) -> None:
        """Begins without any."""
        self.options, self.progress = options or FileOptions(), progress
        self.documents: dict[Path, Any] = {}

    def document(self, path: Path) -> Any:
        """The content of a JSON file, see `read_document`, or a NetworkX graph.

        Raises:
            SourceError: it cannot be read.
            BadInputError: it is damaged.
        """
        if path not in self.documents:
            suffix = Path(unpacked_name(path)).suffix
            if suffix in JSON:
                self.documents[path] = read_document(path, self.progress)
            else:
                self.documents[path] = networkx_files.load(path, suffix, self.progress)
        return self.documents[path]

    def holds_edges(self, path: Path) -> bool:
        """Whether a node file is a whole graph, which also has edges."""
        suffix = Path(unpacked_name(path)).suffix
        if suffix not in JSON or path.is_dir():
            return suffix in networkx_files.SUFFIXES
        document = self.document(path)
        return document is not None and document["nodes"] is not document["edges"]

    def rows(self, path: Path, kind: Kind, progress: Progress | None = None) -> Rows:
        """The records of any file except Parquet; of tables and lists, only the first line is read.

        Args:
            progress: overrides the one of all files.

        Raises:
            SourceError: it cannot be read, or is of no known format.
            BadInputError: it is damaged.
        """
        progress = progress or self.progress
        source, suffix = Source(str(path)), suffix_of(path, kind)
        if suffix in READERS:
            return Rows(source, even(path, READERS[suffix](path, progress)))
        if suffix in EDGE_LISTS:
            return self.list_rows(path, progress)
        if suffix in (*COMMA, *TAB):
            return self.table_rows(path, kind, "," if suffix in COMMA else "\t", progress)
        document: Any = self.document(path) if suffix in GRAPHS else None
        if suffix in networkx_files.SUFFIXES:
            records = networkx_files.edge_rows(document.graph)
            if kind == "nodes":
                graph, left_out = document.graph, document.undeclared
                records = networkx_files.node_rows(graph, suffix, left_out)
            return Rows(Source(str(path), kind[:-1]), records, own=True)
        if document is not None:
            records = document_rows(path, document[kind], kind == "edges")
            return Rows(Source(str(path), "item"), records, numbered=kind == "edges")
        records = read_jsonl(path, progress, kind == "edges")
        return Rows(source, records, numbered=kind == "edges")

    def list_rows(self, path: Path, progress: Progress) -> Rows:
        """The records of a plain edge list."""
        head = edge_list_head(path, Header(self.options.header, is_edge_header))
        remarks: list[str] = []
        rows = read_edge_list(path, head, progress, remarks.append)
        return Rows(Source(str(path)), rows, remarks, numbered=True, head=head)

    def table_rows(self, path: Path, kind: Kind, usual: str, progress: Progress) -> Rows:
        """The records of a table; its quoting is inferred from the whole file when it is read.

        Args:
            usual: the delimiter that the file's name suggests.
        """
        header = Header(self.options.header, is_node_header if kind == "nodes" else is_edge_header)
        head = table_head(path, usual, self.options.delimiter, header)
        remarks: list[str] = []

        def rows() -> Iterator[Row]:
            dialect = find_dialect(path, usual, self.options.delimiter)
            remarks.extend(dialect.remarks)
            yield from read_delimited(path, dialect, header, progress, remark=remarks.append)

        numbered = self.options.header is False
        return Rows(Source(str(path)), rows(), remarks, numbered, head=head)


def even(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    """Checks that each record of a registered reader has a value for every column.

    Raises:
        BadInputError: one has not.
    """
    for line, columns, values in rows:
        if len(columns) != len(values):
            raise BadInputError(
                f"{path}:{line}: {counted(len(values), 'value')} for "
                f"{counted(len(columns), 'column')} "
                f"({listed(columns)})"
            )
        yield line, columns, values
