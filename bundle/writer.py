"""Writing a bundle: files into a temporary folder, the manifest last, then one rename."""

import dataclasses
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from bundle.manifest import FileInfo, Manifest
from bundle.reader import MANIFEST, file_digest


def write_bundle(folder: Path, fill: Callable[[Path], Manifest]) -> Manifest:
    """Lets `fill` write the files, adds them to its manifest, and puts all in place.

    A bundle that is there already stays until the new one is whole, and for good if `fill` fails.

    Returns:
        The manifest with its files.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        manifest = fill(temporary)
        files = {
            path.relative_to(temporary).as_posix(): FileInfo(path.stat().st_size, file_digest(path))
            for path in sorted(temporary.rglob("*"))
            if path.is_file()
        }
        manifest = dataclasses.replace(manifest, files=files)
        (temporary / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        temporary.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return manifest
