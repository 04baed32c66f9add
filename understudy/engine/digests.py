"""What stands in a folder, to be compared with a copy of it."""

from pathlib import Path

from understudy.bundle.manifest import FileInfo
from understudy.bundle.reader import file_digest


def listed(folder: Path) -> dict[str, FileInfo]:
    """Name → bytes and SHA-256, of all files below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): FileInfo(path.stat().st_size, file_digest(path))
        for path in files
    }
