"""Opening a bundle: the manifest parsed, every file's size and digest verified."""

import hashlib
import mmap
import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BundleDamagedError, BundleMissingError
from bundle.manifest import FileInfo, Manifest, parse_manifest

MANIFEST = "manifest.json"
MAX_READERS = 4  # files read at once when digests are compared


@dataclass(frozen=True, slots=True)
class Bundle:
    folder: Path
    manifest: Manifest

    def path(self, name: str) -> Path:
        """The path of a file that the manifest lists.

        Raises:
            BundleDamagedError: the manifest does not list it.
        """
        if name not in self.manifest.files:
            raise BundleDamagedError(f"{self.folder} holds no {name}; export the student again")
        return self.folder / name

    def array(self, name: str, private: bool = False) -> NDArray[np.generic]:
        """A memory-mapped array: read-only, or private, so that writing leaves the file alone."""
        mode: Literal["c", "r"] = "c" if private else "r"
        try:
            array: NDArray[np.generic] = np.load(
                self.path(name), mmap_mode=mode, allow_pickle=False
            )
        except (OSError, EOFError, ValueError) as error:
            raise BundleDamagedError(f"{self.folder / name} is no array: {error}") from error
        return array


def open_bundle(folder: Path, verify: bool = True) -> Bundle:
    """Opens a bundle.

    Args:
        verify: compare every file with its digest; without it, sizes alone are compared.

    Raises:
        BundleMissingError: no bundle there.
        BundleFormatError: a damaged manifest, or another major schema version.
        BundleDamagedError: a file is missing, truncated, or differs from its digest.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleMissingError(
            f"{folder} is not a bundle (no {MANIFEST}); make one with `understudy export`"
        )
    manifest = parse_manifest(path.read_text(encoding="utf-8"))
    for name, entry in manifest.files.items():
        check_size(folder, name, entry)
    bundle = Bundle(folder, manifest)
    if verify:
        verify_digests(bundle)
    return bundle


def verify_digests(bundle: Bundle, but: Collection[str] = ()) -> None:
    """Compares files with their digests, several at a time.

    Args:
        but: files to leave out.

    Raises:
        BundleDamagedError: a file differs.
    """
    # The largest first: they decide how long it takes.
    names = sorted(
        bundle.manifest.files.keys() - set(but), key=lambda name: -bundle.manifest.files[name].bytes
    )
    with ThreadPoolExecutor(min(MAX_READERS, os.cpu_count() or 1)) as pool:
        for digest, name in zip(
            pool.map(lambda name: file_digest(bundle.folder / name), names), names, strict=True
        ):
            if digest != bundle.manifest.files[name].sha256:
                raise BundleDamagedError(
                    f"{bundle.folder / name} was changed: its SHA-256 differs from the manifest's"
                )


def check_size(folder: Path, name: str, entry: FileInfo) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BundleDamagedError(f"the manifest names {name}, which lies outside the bundle")
    if not path.is_file():
        raise BundleDamagedError(f"{path} is missing; export the student again")
    size = path.stat().st_size
    if size != entry.bytes:
        raise BundleDamagedError(f"{path} has {size} bytes, the manifest says {entry.bytes}")


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        if path.stat().st_size:  # an empty file cannot be mapped
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                content.madvise(mmap.MADV_SEQUENTIAL)
                digest.update(content)  # in one piece: other threads keep the interpreter
    return digest.hexdigest()
