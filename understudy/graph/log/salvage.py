"""Recovers rows of a damaged SQLite file, and checks whether its last writes are complete."""

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

PAGE_COUNT_AT = 28  # in the file's header, 4 bytes, big-endian, after the page size at 16
WAL_HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24


def set_aside_files(path: Path) -> list[Path]:
    """Files that earlier damage left, oldest first."""
    return sorted(path.parent.glob(f"{path.name}.damaged*"))


def set_aside(path: Path) -> Path:
    """Renames a file and its write-ahead log, without overwriting; returns the new path."""
    earlier = sum(not kept.name.endswith("-wal") for kept in set_aside_files(path))
    kept = path.with_name(f"{path.name}.damaged{earlier + 1 if earlier else ''}")
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.replace(kept.with_name(kept.name + suffix))
    return kept


def readable_rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """The first rows of a query, up to the damage; the file itself is not changed."""
    copy = path.with_name(f"{path.name}.copy")
    rows: list[tuple[Any, ...]] = []
    try:
        for suffix in ("", "-wal"):
            source = path.with_name(path.name + suffix)
            if source.exists():
                shutil.copyfile(source, copy.with_name(copy.name + suffix))
        restore_length(copy)
        with closing(sqlite3.connect(copy)) as connection, suppress(sqlite3.Error):
            for row in connection.execute(statement):
                rows.append(row)  # noqa: PERF402  the rows before an error count
    finally:
        for suffix in ("", "-wal", "-shm"):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)
    return rows


def restore_length(path: Path) -> None:
    """Extends a truncated file with zeros, so that SQLite reads what is before them."""
    with path.open("r+b") as stream:
        header = stream.read(100)
        page_bytes = int.from_bytes(header[16:18], "big")
        page_bytes = 65_536 if page_bytes == 1 else page_bytes
        pages = int.from_bytes(header[PAGE_COUNT_AT : PAGE_COUNT_AT + 4], "big")
        size = stream.seek(0, 2)
        if size < pages * page_bytes:
            stream.truncate(pages * page_bytes)


def unfinished_bytes(path: Path) -> int:
    """Bytes of the write-ahead log that belong to no complete transaction, which SQLite drops.

    A process that was killed while writing leaves some. They were never acknowledged, unless the
    log was truncated or changed afterwards.
    """
    log = path.with_name(f"{path.name}-wal")
    try:
        data = log.read_bytes()
    except FileNotFoundError:
        return 0
    if len(data) < WAL_HEADER_BYTES:
        return len(data)
    page_bytes = int.from_bytes(data[8:12], "big")
    salts = data[16:24]
    frame_bytes = FRAME_HEADER_BYTES + page_bytes
    whole = end = WAL_HEADER_BYTES
    while end < len(data) and data[end + 8 : end + 16] == salts:
        if end + frame_bytes > len(data):
            return len(data) - whole
        commits = data[end + 4 : end + 8] != b"\0\0\0\0"
        end += frame_bytes
        if commits:
            whole = end
    return end - whole
