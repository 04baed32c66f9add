"""Text files line by line, gzipped or not: strictly UTF-8, an error names file, line and byte."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from graph.errors import BadInputError, SourceError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file, decompressing where its name ends in .gz.

    Raises:
        SourceError: it cannot be opened.
        BadInputError: it is no gzip file, or a damaged one.
    """
    try:
        with path.open("rb") as raw:
            if path.suffix.lower() != ".gz":
                yield raw
                return
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield io.BufferedReader(unpacked, 1 << 20)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInputError(
            f"{path}: damaged gzip file ({error}); fetch or pack it again"
        ) from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_lines(path: Path) -> Iterator[str]:
    """Every line with its end, decoded strictly; a byte order mark is left out.

    Raises:
        SourceError: the file cannot be opened.
        BadInputError: the file is empty, not UTF-8, or damaged.
    """
    with open_bytes(path) as stream:
        number = 0
        for number, line in enumerate(stream, 1):
            if number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise BadInputError(
                    f"{path}:{number}: not UTF-8: byte 0x{line[error.start]:02x} at byte "
                    f"{error.start + 1} of the line; convert the file to UTF-8"
                ) from error
        if not number:
            raise BadInputError(f"{path}: the file is empty")
