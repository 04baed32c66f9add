"""Snapshots in a store that all replicas reach, at any URL that fsspec supports.

Below the URL and the graph's lineage, every snapshot has a folder with a unique name. `stored.json`
is written last: a folder without it does not count as a snapshot.
"""

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import msgspec

from understudy.bundle.manifest import FileInfo
from understudy.bundle.reader import folder_digests
from understudy.engine.remote import RemoteFolder, names_outside
from understudy.engine.snapshots import snapshot_name
from understudy.folders import atomic_folder
from understudy.graph.errors import SnapshotStoreError
from understudy.graph.log.streams.base import Base

logger = logging.getLogger(__name__)

FORMAT = 1
MARKER = "stored.json"
KEPT = 3  # so that a replica can finish fetching an older one
FOLDER_NAME = re.compile(r"snapshot-(0|[1-9][0-9]{0,17})-[0-9a-f]{32}")


class Stored(msgspec.Struct, frozen=True):
    """The content of stored.json.

    Attributes:
        made: time, UTC.
        base: where a replica with this snapshot starts; its keys are part of the state.
        files: name in the folder → bytes and SHA-256.
    """

    stored_format: int
    made: str
    base: Base
    files: dict[str, FileInfo]


class SnapshotStore(RemoteFolder):
    """The snapshots of one graph at a URL, and the data folder to copy them from and to."""

    def __init__(self, url: str, lineage: str, data: Path) -> None:
        """Finds the file system of the URL, without accessing it.

        Raises:
            SnapshotStoreError: see `RemoteFolder`.
        """
        super().__init__(url, "--snapshots")
        self.data = data
        self.root = f"{self.root}/{lineage}"

    def folders(self) -> list[tuple[int, str]]:
        """Lists the number and path of each snapshot, complete or not; the newest first.

        Raises:
            SnapshotStoreError: the bucket does not exist.
        """
        self.files.invalidate_cache()
        try:
            paths = [str(path).rstrip("/") for path in self.files.ls(self.root, detail=False)]
        except FileNotFoundError:
            self.check_bucket()
            return []
        named = [(FOLDER_NAME.fullmatch(path.rpartition("/")[2]), path) for path in paths]
        return sorted(((int(m[1]), path) for m, path in named if m is not None), reverse=True)

    def complete(self) -> Iterator[tuple[int, str]]:
        """Yields the complete snapshots, newest first."""
        for number, path in self.folders():
            if self.files.exists(f"{path}/{MARKER}"):
                yield number, path

    def newest_number(self) -> int | None:
        """Number of the newest snapshot; None if there is none."""
        with self.reaching("read"):
            return next((number for number, _ in self.complete()), None)

    def newest(self) -> Base | None:
        """Returns where a replica with the newest snapshot starts; None if there is none."""
        found = self.look()
        return None if found is None else found[1].base

    def look(self) -> tuple[str, Stored] | None:
        """Reads the path of the newest snapshot and its stored.json; None if there is none."""
        with self.reaching("read"):
            path = next((path for _, path in self.complete()), None)
            if path is None:
                return None
            text: bytes = self.files.cat_file(f"{path}/{MARKER}")
        try:
            stored = msgspec.json.decode(text, type=Stored)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self.damaged(f"{path}/{MARKER}", str(error)) from error
        if stored.stored_format != FORMAT:
            raise SnapshotStoreError(
                f"{path}/{MARKER} has format {stored.stored_format}, but this release reads only "
                f"{FORMAT}"
            )
        base = stored.base
        outside = names_outside(stored.files)
        if base.number < 0 or base.snapshot != snapshot_name(base.number) or outside:
            raise self.damaged(f"{path}/{MARKER}", "it names something that is not a snapshot")
        return path, stored

    def damaged(self, path: str, why: str) -> SnapshotStoreError:
        return SnapshotStoreError(
            f"{self.where} is damaged: {path}: {why}; remove that folder to start from the "
            "previous snapshot"
        )

    def bring(self, base: Base) -> None:
        """Fetches the newest snapshot into the data folder and compares its digests.

        Args:
            base: from `newest`.

        Raises:
            SnapshotStoreError: it cannot be read, is damaged, or is no longer the newest one.
            FolderError: the data folder cannot be written.
        """
        found = self.look()
        if found is None or found[1].base != base:
            raise SnapshotStoreError(f"{self.where} has a newer snapshot by now; start again")
        path, stored = found
        size = sum(entry.bytes for entry in stored.files.values())
        logger.info("fetching %s, %.0f MB, from %s", base.snapshot, size / 1e6, self.where)
        with atomic_folder(self.data / base.snapshot) as aside:
            self.fetch(path, stored.files, aside)
            here = folder_digests(aside)
            for name in sorted(here.keys() | stored.files.keys()):
                if here.get(name) != stored.files.get(name):
                    raise self.damaged(f"{path}/{name}", "its content is not what was stored")

    def put(self, folder: Path, base: Base) -> None:
        """Uploads a snapshot, and removes all but the newest few.

        Args:
            folder: of the snapshot; no process may change or remove it meanwhile.
            base: where a replica with this snapshot starts.

        Raises:
            SnapshotStoreError: it cannot be written; older snapshots remain available.
        """
        files = folder_digests(folder)
        made = datetime.now(UTC).isoformat(timespec="seconds")
        text = msgspec.json.encode(Stored(FORMAT, made, base, files))
        target = f"{self.root}/{snapshot_name(base.number)}-{uuid4().hex}"
        self.send(folder, files, target, MARKER, text)
        with self.reaching("written"):
            self.tidy()

    def tidy(self) -> None:
        """Removes all but the newest few; other processes may do the same at the same time."""
        kept = [number for number, _ in self.complete()][:KEPT]
        for number, path in self.folders():
            if len(kept) == KEPT and number < kept[-1]:
                try:
                    if self.files.exists(f"{path}/{MARKER}"):
                        self.files.rm_file(f"{path}/{MARKER}")
                    self.files.rm(path, recursive=True)
                except FileNotFoundError:
                    continue
