"""Atomic file writing, and digests of files and of arrays in them."""

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.graph.errors import SourceError

CHANGED = "it was changed since it was written"  # its digest differs


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; it replaces `path` when the block succeeds.

    Permissions stay as they were, or follow the umask.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{path.suffix}")
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        if path.exists():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON, atomically."""
    with atomic_file(path) as temporary:
        text = json.dumps(value, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(arrays: Mapping[str, NDArray[np.generic]]) -> str:
    """SHA-256 of contiguous arrays in order, with their names."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


def check_readable(path: Path) -> Path:
    """Returns a path after checking that the file can be opened.

    The safetensors reader reports a file without read permission as missing.

    Raises:
        OSError: it cannot be opened, with the reason.
    """
    with path.open("rb"):
        return path


def cache_folder() -> Path:
    """The folder of cached files: $UNDERSTUDY_CACHE, or .cache/understudy in the home folder.

    Raises:
        SourceError: there is neither.
    """
    configured = os.environ.get("UNDERSTUDY_CACHE")
    if not configured and os.environ.get("HOME") == "":  # would stand for the root folder
        raise SourceError("HOME is empty; set it, or UNDERSTUDY_CACHE to a folder for the cache")
    try:
        return Path(configured or "~/.cache/understudy").expanduser().resolve()
    except RuntimeError as error:
        raise SourceError(
            "there is no home folder for the cache; set UNDERSTUDY_CACHE to a folder"
        ) from error
