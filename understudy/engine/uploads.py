"""A thread that uploads snapshots of a data folder, for replicas that start without one."""

import logging
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from understudy.bundle.reader import MANIFEST
from understudy.engine.maintenance import Maintenance, weakly
from understudy.engine.snapshots import snapshot_name
from understudy.engine.stored import SnapshotStore
from understudy.engine.updates.writer import Writer
from understudy.folders.errors import FolderError
from understudy.graph.errors import JournalError
from understudy.graph.log.streams.stores import Storing

logger = logging.getLogger(__name__)

END_SECONDS = 5.0  # for a running upload; an incomplete one does not count as a snapshot


@dataclass
class UploadFigures:
    """Results of the uploads so far.

    Attributes:
        number: graph version of the newest snapshot known to be stored; -1: none.
        failures: number of failed uploads.
    """

    number: int = -1
    failures: int = 0


class Uploads:
    """Uploads the newest snapshot of a data folder, if the log has a store."""

    def __init__(self, data: Path | None, writer: Writer) -> None:
        """Starts no thread yet; the first notice does.

        Args:
            data: the folder of the snapshots; None: there are none.
        """
        self.data = Path() if data is None else data
        self.writer = writer
        self.figures = UploadFigures()
        log = writer.log
        self.log = log if isinstance(log, Storing) and log.store is not None else None
        self.thread = Maintenance(weakly(self.try_to_store), quiet_seconds=0.0)

    def notice(self) -> None:
        """Reports a snapshot that may not be stored yet; uploads it in the background."""
        if self.log is not None:
            self.thread.notice()

    def try_to_store(self) -> None:
        """Uploads; a failure is logged and counted, and retried with the next snapshot."""
        try:
            self.store()
        except (OSError, JournalError, FolderError) as error:
            if not self.thread.closed.is_set():
                self.figures.failures += 1
                logger.error("the newest snapshot could not be stored: %s", error)

    def store(self) -> None:
        """Uploads the folder's newest snapshot, unless the store has it or a newer one.

        Raises:
            JournalError: the store or Redis cannot be used.
            OSError: the snapshot cannot be read.
        """
        log = self.log
        if log is None:
            return
        assert isinstance(log.store, SnapshotStore)
        with log.keeping() as mine:  # no other process removes the snapshot meanwhile
            if not mine:
                return  # another process on this folder is writing one, and will store it
            with self.writer.lock:
                log.refresh()
                name = log.snapshot or snapshot_name(log.start)
                base = replace(log.base, snapshot=name)
            self.know(log, log.store.newest_number())
            if self.figures.number >= base.number or not (self.data / name / MANIFEST).is_file():
                return
            with log.storing() as turn:
                if turn:
                    log.store.put(self.data / name, base)
                    self.know(log, base.number)
                    logger.info("stored %s in %s", name, log.store.where)

    def know(self, log: Storing, number: int | None) -> None:
        if number is not None:
            self.figures.number = number
            log.stored(number)

    def close(self) -> None:
        """Ends the thread; waits a short time for a running upload."""
        self.thread.end()
        if self.thread.thread is not None:
            self.thread.thread.join(END_SECONDS)
