"""Copies a bundle to the folder that another one is served from, and back."""

import os
import shutil
from pathlib import Path

from understudy.folders import atomic_folder


def put_copy(source: Path, out: Path) -> None:
    """Replaces a folder with a copy of another one, whole or not at all.

    Files are linked if the file system supports it, since our files are replaced and never
    modified; otherwise they are copied.

    Raises:
        FolderError: it cannot be written; the old content is unchanged.
    """
    with atomic_folder(out) as folder:
        shutil.copytree(source, folder, copy_function=link_or_copy, dirs_exist_ok=True)


def link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        return str(shutil.copyfile(source, target))
    return target
