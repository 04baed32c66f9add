"""Records how far the processes of a data folder have read the log, for the next process.

A running process notices if Redis lost records that it has applied. A starting one begins at the
snapshot, and would otherwise accept a shorter or different log.
"""

import logging
from pathlib import Path
from threading import Lock

import msgspec

from understudy.graph.errors import JournalDamagedError
from understudy.graph.log.files import put_file

logger = logging.getLogger(__name__)

ENDING = "reached"  # suffix of the file, beside the folder's other files


class Mark(msgspec.Struct, frozen=True):
    """The last record that was read.

    Attributes:
        birth: of the log.
        number, link: of the record.
    """

    birth: str
    number: int
    link: str


class Reached:
    """The file that stores the mark; safe for threads, and for processes that share the folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = Lock()
        self.written: Mark | None = None  # last mark written by this process
        self.durable = False  # whether that one is on disk
        self.failing = False

    def read(self) -> Mark | None:
        """The stored mark; None if there is none.

        Raises:
            JournalDamagedError: it is not what was written.
            OSError: it cannot be read.
        """
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Mark)
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise JournalDamagedError(
                f"{self.path} is damaged ({error}); if Redis has lost nothing, remove the file"
            ) from error

    def keep(self, birth: str, number: int, link: str, durable: bool = True) -> None:
        """Stores the mark, unless another process of the folder has read further.

        A failure to write is logged once, and ignored.

        Args:
            durable: see `put_file`; each change waits for the mark, so only some do for the disk.
        """
        mark = Mark(birth, number, link)
        with self.lock:
            if mark == self.written and self.durable >= durable:
                return
            try:
                before = self.read()
                farther = before is None or before.birth != birth or before.number < number
                if farther or mark == before:
                    put_file(self.path, msgspec.json.encode(mark), durable)
            except (JournalDamagedError, OSError) as error:
                if not self.failing:
                    logger.warning(
                        "%s cannot be written, so a process that starts here would not notice if "
                        "Redis loses changes: %s",
                        self.path,
                        error,
                    )
                self.failing = True
            else:
                self.written, self.durable, self.failing = mark, durable, False

    def forget(self) -> None:
        """Removes the file."""
        with self.lock:
            self.path.unlink(missing_ok=True)
            self.written, self.durable = None, False
