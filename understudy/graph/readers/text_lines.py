"""Reads text files line by line, also compressed, as strict UTF-8; errors name line and byte."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from understudy.graph.errors import BadInputError
from understudy.graph.readers.packed import POINTER, POINTER_PROBLEM, is_packed, open_bytes
from understudy.progress import Progress, silent

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF_16 = "UTF-16; convert it: iconv -f UTF-16 -t UTF-8"
PAGE = "an HTML page, perhaps a server's error message instead of the file; fetch it again"
LONE_RETURN = (
    "a carriage return alone ends a line, where other lines of the file end otherwise; convert "
    "them: tr '\\r' '\\n'"
)
# The beginnings of other kinds of files, with advice.
OTHER_KINDS = {
    b"\x1f\x8b": "packed by gzip; let its name end in .gz",
    b"BZh": "packed by bzip2; let its name end in .bz2",
    b"\xfd7zXZ\x00": "packed by xz; let its name end in .xz",
    b"\x28\xb5\x2f\xfd": "packed by zstd; unpack it: zstd -d",
    b"PK\x03\x04": "a zip archive (name it .zip) or a spreadsheet (save the sheet as CSV)",
    b"\xd0\xcf\x11\xe0": "a spreadsheet; save the sheet as CSV",
    b"PAR1": "Parquet; let its name end in .parquet",
    b"%PDF": "PDF",
    b"SQLite format 3\x00": "an SQLite database; export its tables as CSV",
    b"\xff\xfe\x00\x00": "UTF-32; convert it: iconv -f UTF-32 -t UTF-8",
    b"\x00\x00\xfe\xff": "UTF-32; convert it: iconv -f UTF-32 -t UTF-8",
    b"\xff\xfe": UTF_16,
    b"\xfe\xff": UTF_16,
}
PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
# The beginnings of unsuitable text files, in lower case.
TEXTS = {
    POINTER: POINTER_PROBLEM,
    b"<!doctype html": PAGE,
    b"<html": PAGE,
}


def read_lines(path: Path, progress: Progress = silent) -> Iterator[str]:
    """Yields every line with its end, decoded strictly, without a byte order mark.

    Raises:
        SourceError: the file cannot be opened.
        BadInputError: the file is empty, not UTF-8, or damaged.
    """
    with open_bytes(path, progress) as stream:
        number = 0
        for number, line in enumerate(raw_lines(stream), 1):
            if number == 1:
                check_is_text(path, line)
                line = line.removeprefix(BYTE_ORDER_MARK)
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise BadInputError(
                    f"{path}:{number}: not UTF-8: byte 0x{line[error.start]:02x} at byte "
                    f"{error.start + 1} of the line; convert the file to UTF-8 "
                    "(from Excel: save it as CSV UTF-8; from Windows or Latin-1 otherwise: "
                    "iconv -f WINDOWS-1252 -t UTF-8)"
                ) from error
        if not number:
            raise BadInputError(f"{path}: the file is empty")


def raw_lines(stream: IO[bytes]) -> Iterable[bytes]:
    """The lines; on old Macintosh systems they end with a carriage return only."""
    first = stream.readline()
    if b"\r" in first and not first.endswith(b"\n"):  # no line feed in the whole file
        return re.findall(rb"[^\r]*\r|[^\r]+$", first)
    return chained(first, stream)


def chained(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    if first:
        yield first
        yield from rest


def check_is_text(path: Path, line: bytes) -> None:
    """Refuses other kinds of files, and the encoding that spreadsheets call Unicode.

    Raises:
        BadInputError: the first bytes are not those of UTF-8 text.
    """
    for mark, reason in TEXTS.items():
        if line[: len(mark)].lower() == mark:
            raise BadInputError(f"{path}: {reason}")
    mark = next((mark for mark in OTHER_KINDS if line.startswith(mark)), b"")
    kind = OTHER_KINDS.get(mark, "")
    if mark in PACKED and is_packed(path):
        kind = f"{kind.partition(';')[0]} a second time; unpack it once"
    if not kind and b"\x00" in line[:4]:
        kind = UTF_16
    if kind:
        raise BadInputError(f"{path}: not UTF-8 but {kind}")
