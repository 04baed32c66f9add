"""Writes a bundle: files into a temporary folder, the manifest last, then moved into place."""

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from understudy.bundle.manifest import Manifest
from understudy.bundle.reader import MANIFEST, folder_digests
from understudy.folders import atomic_folder


def write_bundle(folder: Path, fill: Callable[[Path], Manifest]) -> Manifest:
    """Calls `fill` to write the files, adds them to its manifest, and moves all into place.

    An existing bundle is replaced only when the new one is complete and on disk, and stays if
    `fill` fails.

    Returns:
        The manifest with its files.

    Raises:
        FolderError: `folder` holds something other than a bundle, is being written, or cannot be.
    """
    with atomic_folder(folder) as aside:
        manifest = fill(aside)
        manifest = replace(manifest, files=folder_digests(aside))
        (aside / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return manifest
