"""Opens a bundle: parses the manifest, and verifies every file's size and digest."""

import hashlib
import mmap
import os
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from understudy.bundle.errors import BundleDamagedError, BundleFormatError, BundleMissingError
from understudy.bundle.manifest import FileInfo, Manifest, parse_manifest
from understudy.folders.places import path_problem

MANIFEST = "manifest.json"
REMEDY = "copy the bundle again, or export the student again"
MAX_READERS = 4  # files whose digests are computed at once


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle.

    Attributes:
        stamps: of its folder and of its files, when it was opened.
    """

    folder: Path
    manifest: Manifest
    stamps: tuple[tuple[int, ...], ...]

    def check_unmoved(self) -> None:
        """Checks that everything read by path since the opening came from the same folder.

        Otherwise the digests may be those of one bundle, and what was loaded that of another.

        Raises:
            BundleDamagedError: the folder or a file was replaced or written to, even if the
                previous one is back.
        """
        try:
            found = (*place_stamps(self.folder), *file_stamps(self.folder, self.manifest))
        except OSError:
            found = ()
        if found != self.stamps:
            raise BundleDamagedError(
                f"{self.folder} was replaced or changed while it was being opened; open it again "
                "once it is complete"
            )

    def path(self, name: str) -> Path:
        """Returns the path of a file that the manifest lists.

        Raises:
            BundleDamagedError: the manifest does not list it.
        """
        if not self.holds(name):
            raise BundleDamagedError(
                f"{self.folder} does not contain {name}; export the student again"
            )
        return self.folder / name

    def holds(self, name: str) -> bool:
        """Whether the manifest lists a file, so that it is part of the bundle."""
        return name in self.manifest.files

    def array(self, name: str, private: bool = False) -> NDArray[np.generic]:
        """Maps an array: read-only, or copy-on-write (`private`), which leaves the file unchanged.

        Raises:
            BundleDamagedError: the file cannot be read, or is not an array.
        """
        mode: Literal["c", "r"] = "c" if private else "r"
        try:
            array: NDArray[np.generic] = np.load(
                self.path(name), mmap_mode=mode, allow_pickle=False
            )
        except OSError as error:
            problem = f"{self.folder / name} cannot be read: {error.strerror or error}"
            raise BundleDamagedError(problem) from error
        except (EOFError, ValueError) as error:
            raise BundleDamagedError(
                f"{self.folder / name} is not a NumPy array: {error}"
            ) from error
        return array


class Files(Protocol):
    """A source of files by name."""

    def holds(self, name: str) -> bool: ...

    def path(self, name: str) -> Path: ...


@dataclass(frozen=True, slots=True)
class LooseFiles:
    """The files of a folder that is being written and has no manifest yet."""

    folder: Path

    def holds(self, name: str) -> bool:
        return self.path(name).is_file()

    def path(self, name: str) -> Path:
        return self.folder / name


def files_of(source: Files | Path) -> Files:
    """Returns a bundle itself, or the files of a folder that is being written."""
    return LooseFiles(source) if isinstance(source, Path) else source


def open_bundle(folder: Path | str, verify: bool = True) -> Bundle:
    """Opens a bundle.

    Args:
        verify: compare every file with its digest; otherwise only sizes are compared.

    Raises:
        BundleMissingError: there is no bundle.
        BundleFormatError: the manifest is damaged, or of another major schema version.
        BundleDamagedError: a file is missing, truncated, or differs from its digest.
    """
    folder = Path(folder)
    with reading(folder):
        path = folder / MANIFEST
        if not path.is_file():
            raise BundleMissingError(
                path_problem(folder)
                or f"{folder} is not a bundle (no {MANIFEST}); make one with `understudy export`"
            )
        placed = tuple(place_stamps(folder))
        manifest = parse_manifest(path.read_bytes())
        for name, entry in manifest.files.items():
            check_size(folder, name, entry)
        stamps = (*placed, *file_stamps(folder, manifest))
    bundle = Bundle(folder, manifest, stamps)
    if verify:
        verify_digests(bundle)
    return bundle


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Adds the bundle's path to errors of the format or of the file system.

    Raises:
        BundleFormatError, BundleDamagedError: in place of the original error.
    """
    try:
        yield
    except BundleFormatError as error:
        raise BundleFormatError(f"{folder}: {error}") from error
    except OSError as error:
        where = error.filename or folder
        raise BundleDamagedError(f"{where} cannot be read: {error.strerror or error}") from error


def verify_digests(bundle: Bundle, but: Collection[str] = ()) -> None:
    """Compares files with their digests, several at a time.

    Args:
        but: names of files to leave out.

    Raises:
        BundleDamagedError: a file differs.
    """
    # The largest files first, because they determine the duration.
    names = sorted(
        bundle.manifest.files.keys() - set(but), key=lambda name: -bundle.manifest.files[name].bytes
    )
    readers = min(MAX_READERS, os.cpu_count() or 1)
    with reading(bundle.folder), ThreadPoolExecutor(readers) as pool:
        for digest, name in zip(
            pool.map(lambda name: mapped_digest(bundle.folder / name), names), names, strict=True
        ):
            if digest != bundle.manifest.files[name].sha256:
                raise BundleDamagedError(
                    f"{bundle.folder / name} was changed: its SHA-256 differs from the manifest's; "
                    f"{REMEDY}"
                )


def place_stamps(folder: Path) -> Iterator[tuple[int, ...]]:
    """Yields what identifies a folder and its last move; a link to it is a place of its own."""
    for found in (folder.lstat(), folder.stat()):
        yield found.st_dev, found.st_ino, found.st_ctime_ns


def file_stamps(folder: Path, manifest: Manifest) -> Iterator[tuple[int, ...]]:
    """Yields what identifies each listed file and its last write."""
    for name in manifest.files:
        found = (folder / name).stat()
        yield found.st_dev, found.st_ino, found.st_mtime_ns


def check_size(folder: Path, name: str, entry: FileInfo) -> None:
    if "\0" in name:
        raise BundleFormatError(f"the manifest names {name!r}, which is not a valid file name")
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BundleDamagedError(f"the manifest names {name}, which lies outside the bundle")
    if not path.is_file():
        raise BundleDamagedError(f"{path} is missing; {REMEDY}")
    size = path.stat().st_size
    if size != entry.bytes:
        raise BundleDamagedError(
            f"{path} has {size} bytes, but the manifest says {entry.bytes}; {REMEDY}"
        )


def mapped_digest(path: Path) -> str:
    """Computes the SHA-256 of a file, in hexadecimal, without blocking other threads.

    Reading the file in parts would take the interpreter lock with every part.
    """
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        if path.stat().st_size:  # an empty file cannot be mapped
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                content.madvise(mmap.MADV_SEQUENTIAL)
                digest.update(content)  # in one call, which releases the interpreter lock
    return digest.hexdigest()


def folder_digests(folder: Path) -> dict[str, FileInfo]:
    """Maps the relative path of every file below a folder to its size and SHA-256."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): FileInfo(path.stat().st_size, mapped_digest(path))
        for path in files
    }
