"""Text files line by line, packed or not: strictly UTF-8, an error names file, line and byte."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from understudy.graph.errors import BadInputError
from understudy.graph.progress import Progress, silent
from understudy.graph.readers.packed import open_bytes

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_lines(path: Path, progress: Progress = silent) -> Iterator[str]:
    """Every line with its end, decoded strictly; a byte order mark is left out.

    Raises:
        SourceError: the file cannot be opened.
        BadInputError: the file is empty, not UTF-8, or damaged.
    """
    with open_bytes(path, progress) as stream:
        number = 0
        for number, line in enumerate(raw_lines(stream), 1):
            if number == 1:
                check_not_utf_16(path, line)
                line = line.removeprefix(BYTE_ORDER_MARK)
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise BadInputError(
                    f"{path}:{number}: not UTF-8: byte 0x{line[error.start]:02x} at byte "
                    f"{error.start + 1} of the line; convert the file to UTF-8 "
                    "(of Latin-1: iconv -f ISO-8859-1 -t UTF-8)"
                ) from error
        if not number:
            raise BadInputError(f"{path}: the file is empty")


def raw_lines(stream: IO[bytes]) -> Iterable[bytes]:
    """The lines; those of an old Macintosh end with a carriage return alone."""
    first = stream.readline()
    if b"\r" in first and not first.endswith(b"\n"):  # no line feed in the whole file
        return re.findall(rb"[^\r]*\r|[^\r]+$", first)
    return chained(first, stream)


def chained(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    if first:
        yield first
        yield from rest


def check_not_utf_16(path: Path, line: bytes) -> None:
    """Refuses the encoding that spreadsheets call Unicode.

    Raises:
        BadInputError: the file is in UTF-16.
    """
    if line.startswith(UTF_16_MARKS) or b"\x00" in line[:4]:
        raise BadInputError(
            f"{path}: not UTF-8 but UTF-16; convert the file: iconv -f UTF-16 -t UTF-8"
        )
