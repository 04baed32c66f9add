"""File formats, recognised by name, and how answers are written in them."""

import bz2
import csv
import gzip
import io
import json
import lzma
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from understudy.graph.readers.formats import COMMA, JSON, JSON_LINES, PARQUET, TAB
from understudy.graph.readers.packed import unpacked_name
from understudy.predict.errors import OptionError
from understudy.predict.rows import Answer

Base = Literal["csv", "tsv", "jsonl", "json", "parquet"]
SUFFIXES: dict[Base, tuple[str, ...]] = {
    "csv": COMMA,
    "tsv": TAB,
    "jsonl": JSON_LINES,
    "json": JSON,
    "parquet": PARQUET,
}
# Compressors whose concatenated outputs decompress as one file.
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": partial(gzip.compress, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


@dataclass(frozen=True)
class Format:
    """A format and its compression."""

    base: Base
    packing: str = ""  # a suffix such as .gz

    @property
    def suffix(self) -> str:
        return f".{self.base}{self.packing}"


def format_of(path: Path, what: str) -> Format:
    """Finds the format from a file's name.

    Args:
        what: IN or OUT, for the message.

    Raises:
        OptionError: the name has no known suffix.
    """
    suffix = Path(unpacked_name(path)).suffix
    packing = path.suffix.lower() if path.suffix.lower() != suffix else ""
    for base, suffixes in SUFFIXES.items():
        if suffix in suffixes:
            return Format(base, packing)
    read = what == "IN"
    raise OptionError(
        f"{what} is {path}: its name must end in .csv, .tsv, .jsonl{', .json' if read else ''} or "
        f".parquet, and may be packed as .gz, .bz2{', .xz or .zip' if read else ' or .xz'}"
    )


def format_named(word: str, option: str) -> Format:
    """Finds the format that an option names.

    Raises:
        OptionError: there is none of that name.
    """
    for base in SUFFIXES:
        if word == base:
            return Format(base)
    raise OptionError(f"{option} must be one of {', '.join(SUFFIXES)}, not {word!r}")


def check_output_format(kind: Format, out: Path) -> None:
    """Refuses formats that can be read but not written.

    Raises:
        OptionError: answers cannot be written in this format.
    """
    if kind.base == "json":
        raise OptionError(
            f"OUT is {out}: answers are written as JSON lines, not as one JSON array; choose a "
            "name that ends in .jsonl, or the format jsonl"
        )
    if kind.packing and (kind.packing not in PACKERS or kind.base == "parquet"):
        raise OptionError(
            f"OUT is {out}: this compression is not supported for answers; CSV, TSV and JSON lines "
            "can be compressed as .gz, .bz2 or .xz"
        )


def columns_of(with_top: bool) -> list[str]:
    return list(Answer(0, None, None, None, (), None, None, None).value(with_top))


def schema_of(with_top: bool) -> pa.Schema:
    """Makes the schema of a Parquet file of answers."""
    types = {
        "row": pa.int64(),
        "score": pa.float64(),
        "graph_version": pa.int64(),
        "top": pa.list_(pa.struct({"label": pa.string(), "score": pa.float64()})),
    }
    return pa.schema([(name, types.get(name, pa.string())) for name in columns_of(with_top)])


def encode(answers: Sequence[Answer], kind: Format, with_top: bool) -> bytes:
    """Encodes answers as a part of a file, without a header."""
    values = [answer.value(with_top) for answer in answers]
    if kind.base == "parquet":
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(values, schema_of(with_top)), sink)
        return sink.getvalue()
    if kind.base == "jsonl":
        text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
    else:
        text = delimited([list(map(cell, value.values())) for value in values], kind)
    return packed(text, kind)


def head(kind: Format, with_top: bool) -> bytes:
    """Encodes what comes before the first part: the header, if the format has one."""
    if kind.base in ("jsonl", "parquet"):
        return b""
    return packed(delimited([columns_of(with_top)], kind), kind)


def packed(text: str, kind: Format) -> bytes:
    content = text.encode("utf-8")
    return PACKERS[kind.packing](content) if kind.packing else content


def delimited(rows: Sequence[Sequence[object]], kind: Format) -> str:
    sink = io.StringIO()
    delimiter = "," if kind.base == "csv" else "\t"
    csv.writer(sink, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return sink.getvalue()


def cell(value: object) -> object:
    """Formats a value for CSV or TSV: a list as JSON, None as an empty cell."""
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False) if value else ""
    return "" if value is None else value


def join(parts: Sequence[Path], out: IO[bytes], kind: Format, with_top: bool) -> None:
    """Joins the parts to one file."""
    if kind.base == "parquet":
        with pq.ParquetWriter(out, schema_of(with_top)) as writer:
            for part in parts:
                writer.write_table(pq.read_table(part))
        return
    out.write(head(kind, with_top))
    for part in parts:
        with part.open("rb") as source:
            shutil.copyfileobj(source, out)
