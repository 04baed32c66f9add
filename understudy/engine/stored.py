"""Snapshots in a place that all replicas reach: any URL that fsspec knows.

Below the URL, and there below the graph's lineage, every snapshot has a folder of its own with a
name that nobody else takes. `stored.json` is written into it last: what lacks it is not there.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from understudy.bundle.manifest import FileInfo
from understudy.engine.digests import listed
from understudy.engine.snapshots import snapshot_name
from understudy.folders import atomic_folder
from understudy.graph.errors import SnapshotStoreError
from understudy.graph.log.streams.base import Base

logger = logging.getLogger(__name__)

FORMAT = 1
MARKER = "stored.json"
KEPT = 3  # who is fetching an older one can finish
FOLDER_NAME = re.compile(r"snapshot-(0|[1-9][0-9]{0,17})-[0-9a-f]{32}")


class Stored(msgspec.Struct, frozen=True):
    """What stored.json says.

    Attributes:
        made: when, UTC.
        base: where who starts with it begins; its keys are part of the state.
        files: name in the folder → bytes and SHA-256.
    """

    stored_format: int
    made: str
    base: Base
    files: dict[str, FileInfo]


class SnapshotStore:
    """The snapshots of one graph at a URL, and the data folder that they come from and go to."""

    def __init__(self, url: str, lineage: str, data: Path) -> None:
        """Finds what reaches the URL; asks nothing there yet.

        Raises:
            SnapshotStoreError: fsspec, or the package that it needs for the URL, is not installed;
                or it is no URL.
        """
        self.where = f"the store {without_secrets(url)}"
        self.data = data
        try:
            from fsspec.core import url_to_fs
        except ModuleNotFoundError as error:
            raise SnapshotStoreError(
                "--snapshots needs fsspec, which is not installed: "
                "pip install 'understudy-gnn[snapshots]'"
            ) from error
        with self.reaching("used"):
            found, root = url_to_fs(url)
        self.files: Any = found  # fsspec has no types
        self.root = f"{root.rstrip('/')}/{lineage}"

    @contextmanager
    def reaching(self, what: str) -> Iterator[None]:
        """Turns errors of whatever reaches the store into ours.

        Raises:
            SnapshotStoreError: it cannot be reached, or refuses.
        """
        try:
            yield
        except SnapshotStoreError:
            raise
        except Exception as error:  # every kind of store has errors of its own
            told = str(error).strip().partition("\n")[0]
            raise SnapshotStoreError(
                f"{self.where} cannot be {what} (--snapshots): {told or type(error).__name__}"
            ) from error

    def folders(self) -> list[tuple[int, str]]:
        """The number and the path of each snapshot, whole or not; the newest first.

        Raises:
            SnapshotStoreError: the bucket that they would lie in is not there.
        """
        self.files.invalidate_cache()
        try:
            paths = [str(path).rstrip("/") for path in self.files.ls(self.root, detail=False)]
        except FileNotFoundError:
            self.check_bucket()
            return []
        named = [(FOLDER_NAME.fullmatch(path.rpartition("/")[2]), path) for path in paths]
        return sorted(((int(m[1]), path) for m, path in named if m is not None), reverse=True)

    def check_bucket(self) -> None:
        """Sees that there is a bucket: one of a misspelt name would be made, and filled.

        Raises:
            SnapshotStoreError: there is none.
        """
        bucket = self.root.partition("/")[0]  # "" where there are folders in place of buckets
        if bucket and not self.files.exists(bucket):
            raise SnapshotStoreError(
                f"{self.where}: there is no bucket {bucket}; make it, or name another one with "
                "--snapshots"
            )

    def whole(self) -> Iterator[tuple[int, str]]:
        """Those whose last object was written."""
        for number, path in self.folders():
            if self.files.exists(f"{path}/{MARKER}"):
                yield number, path

    def newest_number(self) -> int | None:
        """Of the newest snapshot; None if there is none."""
        with self.reaching("read"):
            return next((number for number, _ in self.whole()), None)

    def newest(self) -> Base | None:
        """Where who starts with the newest snapshot begins; None if there is none."""
        found = self.look()
        return None if found is None else found[1].base

    def look(self) -> tuple[str, Stored] | None:
        """The path of the newest snapshot, and what stands in its last object."""
        with self.reaching("read"):
            path = next((path for _, path in self.whole()), None)
            if path is None:
                return None
            text: bytes = self.files.cat_file(f"{path}/{MARKER}")
        try:
            stored = msgspec.json.decode(text, type=Stored)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self.damaged(f"{path}/{MARKER}", str(error)) from error
        if stored.stored_format != FORMAT:
            raise SnapshotStoreError(
                f"{path}/{MARKER} has format {stored.stored_format}, this release reads {FORMAT}"
            )
        base = stored.base
        outside = [name for name in stored.files if name.startswith("/") or ".." in name.split("/")]
        if base.number < 0 or base.snapshot != snapshot_name(base.number) or outside:
            raise self.damaged(f"{path}/{MARKER}", "it names what is no snapshot")
        return path, stored

    def damaged(self, path: str, why: str) -> SnapshotStoreError:
        return SnapshotStoreError(
            f"{self.where} is damaged: {path}: {why}; remove its folder there to start from the "
            "snapshot before it"
        )

    def bring(self, base: Base) -> None:
        """Puts the newest snapshot into the data folder, compared with its digests.

        Args:
            base: as `newest` gave it.

        Raises:
            SnapshotStoreError: it cannot be read, is damaged, or another one is the newest now.
            FolderError: the data folder cannot be written.
        """
        found = self.look()
        if found is None or found[1].base != base:
            raise SnapshotStoreError(f"{self.where} has another snapshot by now; start again")
        path, stored = found
        size = sum(entry.bytes for entry in stored.files.values())
        logger.info("fetching %s, %.0f MB, from %s", base.snapshot, size / 1e6, self.where)
        with atomic_folder(self.data / base.snapshot) as aside:
            for name in stored.files:
                (aside / name).parent.mkdir(parents=True, exist_ok=True)
                with self.reaching("read"):
                    self.files.get_file(f"{path}/{name}", str(aside / name))
            here = listed(aside)
            for name in sorted(here.keys() | stored.files.keys()):
                if here.get(name) != stored.files.get(name):
                    raise self.damaged(f"{path}/{name}", "it is not what was stored")

    def put(self, folder: Path, base: Base) -> None:
        """Stores a snapshot, and forgets all but the newest few.

        Args:
            folder: which nobody changes or removes meanwhile.
            base: where who starts with it begins.

        Raises:
            SnapshotStoreError: it cannot be written; who starts finds those that were there.
        """
        files = listed(folder)
        made = datetime.now(UTC).isoformat(timespec="seconds")
        text = msgspec.json.encode(Stored(FORMAT, made, base, files))
        target = f"{self.root}/{snapshot_name(base.number)}-{uuid4().hex}"
        with self.reaching("written"):
            for name in files:
                place = f"{target}/{name}"
                self.files.makedirs(place.rpartition("/")[0], exist_ok=True)
                self.files.put_file(str(folder / name), place)
            # Where it appears as a whole, or not at all.
            with self.files.transaction, self.files.open(f"{target}/{MARKER}", "wb") as stream:
                stream.write(text)
            self.tidy()

    def tidy(self) -> None:
        """Removes what is older than the newest few; others may do so at the same moment."""
        kept = [number for number, _ in self.whole()][:KEPT]
        for number, path in self.folders():
            if len(kept) == KEPT and number < kept[-1]:
                try:
                    if self.files.exists(f"{path}/{MARKER}"):
                        self.files.rm_file(f"{path}/{MARKER}")
                    self.files.rm(path, recursive=True)
                except FileNotFoundError:
                    continue


def without_secrets(url: str) -> str:
    """A URL without the name and password in it, and without its query."""
    return re.sub("//[^@/]*@", "//", url).partition("?")[0]
