"""Writing a bundle: files into a folder aside, the manifest last, then all put in place."""

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from understudy.bundle.manifest import Manifest
from understudy.bundle.reader import MANIFEST, folder_digests
from understudy.folders import atomic_folder


def write_bundle(folder: Path, fill: Callable[[Path], Manifest]) -> Manifest:
    """Lets `fill` write the files, adds them to its manifest, and puts all in place.

    A bundle that is there already stays until the new one is whole and on the disk, and for good
    if `fill` fails.

    Returns:
        The manifest with its files.

    Raises:
        FolderError: `folder` holds what is no bundle of ours, is being written, or cannot be.
    """
    with atomic_folder(folder) as aside:
        manifest = fill(aside)
        manifest = replace(manifest, files=folder_digests(aside))
        (aside / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return manifest
