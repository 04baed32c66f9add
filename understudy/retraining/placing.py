"""A bundle put where another one is served from, and back."""

import os
import shutil
from pathlib import Path

from understudy.folders import atomic_folder


def put_copy(source: Path, out: Path) -> None:
    """Has a folder hold what another one holds, whole or not at all.

    Files are linked where the file system can, since what we wrote is replaced and never changed;
    else they are copied.

    Raises:
        FolderError: it cannot be written; what was there is as it was.
    """
    with atomic_folder(out) as folder:
        shutil.copytree(source, folder, copy_function=link_or_copy, dirs_exist_ok=True)


def link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        return str(shutil.copyfile(source, target))
    return target
