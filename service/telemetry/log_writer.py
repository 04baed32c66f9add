"""Writes the log to standard error from a thread: a reader that stands still stops no request."""

import logging
import os
import select
import sys
import threading
from collections import deque

DESCRIPTOR = 2  # standard error
MOST_BYTES = 4 * 2**20  # of lines that wait
FLUSH_SECONDS = 2.0  # for what waits at the end of the process
logger = logging.getLogger(__name__)


class LogWriter(logging.Handler):
    """Queues lines for a thread that writes them, up to a number of bytes.

    From the first line that finds no room on, lines are left out until all that wait are written;
    then a line tells how many. Each line is one call of the kernel, so that lines of several
    processes do not mix.

    Attributes:
        left_out: number of lines that were never written, since the start.
    """

    def __init__(self) -> None:
        super().__init__()
        self.begin()
        os.register_at_fork(after_in_child=self.begin)

    def begin(self) -> None:
        """Starts empty, also in a forked child: what waits is the parent's to write."""
        self.changed = threading.Condition()
        self.lines: deque[bytes] = deque()
        self.waiting = 0  # bytes
        self.full = self.remark_due = False
        self.left_out = 0
        self.patience = FLUSH_SECONDS
        self.thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.line(record)
        except Exception:  # noqa: BLE001  as every handler of the standard library
            self.handleError(record)
            return
        with self.changed:
            if self.full or (self.lines and self.waiting + len(line) > MOST_BYTES):
                self.full = self.remark_due = True
                self.left_out += 1
                return
            self.append(line)
            if self.thread is None:
                self.thread = threading.Thread(target=self.write_all, name="log", daemon=True)
                self.thread.start()

    def line(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}\n".encode(sys.stderr.encoding, "backslashreplace")

    def append(self, line: bytes) -> None:
        self.lines.append(line)
        self.waiting += len(line)
        self.changed.notify_all()

    def write_all(self) -> None:
        """Writes lines for ever; each stays in the queue until it is written.

        After a part of a line, as of a disk that ran full, the next one begins a line of its own.
        """
        part = b""  # the end of that part
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.lines)
                line = self.lines[0]
            whole = part + line
            taken = write(whole)
            written = taken == len(whole)
            if taken:
                part = b"" if written else b"\n"
            with self.changed:
                self.lines.popleft()
                self.waiting -= len(line)
                if not written:
                    self.left_out += 1
                    self.remark_due = True
                if not self.lines:
                    self.full = False
                    if written and self.remark_due:
                        self.remark_due = False
                        self.append(self.remark())
                self.changed.notify_all()

    def remark(self) -> bytes:
        """Tells how many lines were left out; its log record passes this handler's filters."""
        text = "lines of the log were left out since the start, because nothing took them"
        record = logger.makeRecord(
            logger.name, logging.WARNING, __file__, 0, f"{self.left_out:,} {text}", (), None
        )
        self.filter(record)
        return self.line(record)

    def flush(self) -> None:
        """Waits until all lines are written, FLUSH_SECONDS at most; after that no call waits."""
        with self.changed:
            if not self.changed.wait_for(lambda: not self.lines, self.patience):
                self.patience = 0.0


def write(line: bytes) -> int:
    """Writes to standard error; returns how many bytes it took, fewer on a full disk."""
    rest = memoryview(line)
    while rest:
        try:
            rest = rest[os.write(DESCRIPTOR, rest) :]
        except BlockingIOError:  # another process has made the pipe that it shares non-blocking
            select.select([], [DESCRIPTOR], [])
        except OSError:
            break
    return len(line) - len(rest)


def lines_left_out() -> int:
    """Returns how many lines of the log this process has left out."""
    handlers = logging.getLogger().handlers
    return sum(h.left_out for h in handlers if isinstance(h, LogWriter))
