"""Opens files as they are stored: plain, compressed, or as the only file in an archive."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from understudy.folders.places import path_problem
from understudy.graph.errors import BadInputError, SourceError
from understudy.progress import Progress, silent

COMPRESSED: dict[str, Callable[[IO[bytes]], Any]] = {
    ".gz": lambda raw: gzip.GzipFile(fileobj=raw),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}
DAMAGED = (
    gzip.BadGzipFile,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    UnicodeDecodeError,  # a name in an archive; content is decoded elsewhere
    NotImplementedError,  # a zip compression that Python lacks
    RuntimeError,  # a zip with a password
)
BUFFER = 1 << 20
TAR_MAGIC = slice(257, 262)
POINTER = b"version https://git-lfs"
POINTER_PROBLEM = "a pointer of Git LFS in place of the file; fetch that: git lfs pull"


class Reported(io.RawIOBase):
    """A file that reports how many of its stored bytes were read."""

    def __init__(self, raw: IO[bytes], size: int, stage: str, progress: Progress) -> None:
        self.raw, self.size, self.stage, self.progress = raw, size, stage, progress

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.raw.seek(offset, whence)

    def tell(self) -> int:
        return self.raw.tell()

    def readinto(self, buffer: Any) -> int:
        content = self.raw.read(len(buffer))
        buffer[: len(content)] = content
        self.progress(self.stage, self.raw.tell(), self.size)
        return len(content)


def unpacked_name(path: Path) -> str:
    """The lowercase name without compression suffixes: `n.csv` for `n.csv.gz`."""
    name = path.name.lower()
    for suffix in (*COMPRESSED, ".zip"):
        name = name.removesuffix(suffix)
    name = name.removesuffix(".tar").removesuffix(".tgz")
    if path.suffix.lower() == ".zip" and "." not in name and path.is_file():
        with guarded(path), zipfile.ZipFile(path) as archive:
            return only_member(path, zip_members(archive)).lower()
    return name


def is_packed(path: Path) -> bool:
    return path.suffix.lower() in (*COMPRESSED, ".zip", ".tgz")


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Converts errors of reading a file to errors that name it."""
    try:
        yield
    except DAMAGED as error:
        kind = path.suffix.lower().lstrip(".")
        if not is_packed(path):
            raise
        kind = "gzip" if kind == "gz" else kind
        raise BadInputError(
            f"{path}: damaged {kind} file ({error}); fetch or pack it again"
        ) from error
    except OSError as error:
        if problem := path_problem(path):
            raise SourceError(problem) from error
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error


def refuse_pipe(path: Path) -> None:
    """Refuses a pipe, which can be read only once, for files that are read repeatedly.

    Raises:
        SourceError: it is a pipe.
    """
    if path.is_fifo():
        raise SourceError(f"{path}: a pipe, which can be read only once; write it to a file first")


def check_opens(path: Path) -> None:
    """Refuses a file that cannot be opened, or is only a pointer.

    Raises:
        SourceError: it is missing, unreadable, a pipe, or a pointer of Git LFS.
    """
    refuse_pipe(path)
    with guarded(path), path.open("rb") as stream:
        start = stream.read(len(POINTER))
    if start == POINTER:
        raise SourceError(f"{path}: {POINTER_PROBLEM}")


@contextmanager
def open_bytes(path: Path, progress: Progress = silent) -> Iterator[IO[bytes]]:
    """Opens a file, decompressing it according to its name.

    Args:
        progress: gets the bytes read of the stored file.

    Raises:
        SourceError: it cannot be opened.
        BadInputError: it is damaged, or an archive of several files.
    """
    refuse_pipe(path)
    with guarded(path), path.open("rb") as raw:
        size, stage = path.stat().st_size, f"read {path.name}"
        counted: Any = io.BufferedReader(Reported(raw, size, stage, progress), BUFFER)
        suffix = path.suffix.lower()
        if suffix == ".zip":
            with zipfile.ZipFile(counted) as archive:
                yield archive.open(only_member(path, zip_members(archive)))
        elif suffix in COMPRESSED or suffix == ".tgz":
            unpack = COMPRESSED.get(suffix, COMPRESSED[".gz"])
            stream = io.BufferedReader(unpack(counted), BUFFER)
            if stream.peek(TAR_MAGIC.stop)[TAR_MAGIC] == b"ustar":
                stream = tar_stream(path, stream)
            yield stream
        else:
            yield counted
        progress(stage, size, size)


def zip_members(archive: zipfile.ZipFile) -> list[str]:
    return [entry.filename for entry in archive.infolist() if not entry.filename.endswith("/")]


def tar_stream(path: Path, stream: IO[bytes]) -> Any:
    """The only file in a tar, which some publish under the name of the file."""
    archive = tarfile.open(fileobj=stream, mode="r:")  # noqa: SIM115 — read until the stream ends
    name = only_member(path, [entry.name for entry in archive.getmembers() if entry.isfile()])
    return archive.extractfile(name)


def only_member(path: Path, names: list[str]) -> str:
    """The only file of an archive, ignoring files that macOS adds.

    Raises:
        BadInputError: there are several, or none.
    """
    names = [name for name in names if not name.startswith("__MACOSX/")]
    names = [name for name in names if not name.rpartition("/")[2].startswith("._")]
    if len(names) != 1:
        listed = ", ".join(names[:8]) or "none"
        raise BadInputError(
            f"{path}: an archive of {len(names)} files ({listed}); unpack it and name the one meant"
        )
    return names[0]
