"""Opening a bundle: the manifest parsed, every file's size and digest verified."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BundleDamagedError, BundleMissingError
from bundle.manifest import FileInfo, Manifest, parse_manifest

MANIFEST = "manifest.json"


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
        check_file(folder, name, entry, verify)
    return Bundle(folder, manifest)


def check_file(folder: Path, name: str, entry: FileInfo, verify: bool) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BundleDamagedError(f"the manifest names {name}, which lies outside the bundle")
    if not path.is_file():
        raise BundleDamagedError(f"{path} is missing; export the student again")
    size = path.stat().st_size
    if size != entry.bytes:
        raise BundleDamagedError(f"{path} has {size} bytes, the manifest says {entry.bytes}")
    if verify and file_digest(path) != entry.sha256:
        raise BundleDamagedError(f"{path} was changed: its SHA-256 differs from the manifest's")


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
