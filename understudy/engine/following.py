"""A thread that applies what other processes append to the log."""

import logging
from collections.abc import Callable
from threading import Event, Thread

from understudy.graph.log.protocol import Log

logger = logging.getLogger(__name__)

NEWS_SECONDS = 1.0  # after which it looks without news: a process that was killed tells none


class Following:
    """Runs a piece of work at news of a log, until its end."""

    def __init__(self, log: Log, work: Callable[[], None]) -> None:
        """Starts the thread, if there can be others.

        Args:
            work: applies what is new; called once at the start, too.
        """
        self.log = log
        self.work = work
        self.closed = Event()
        self.thread: Thread | None = None
        if log.shared:
            self.thread = Thread(target=self.run, name="following", daemon=True)
            self.thread.start()

    def run(self) -> None:
        more = True
        while more and not self.closed.is_set():
            try:
                self.work()
            except Exception:  # the thread must live on, whatever one round met
                logger.exception("following the log failed; it is tried again")
            more = self.log.wait(NEWS_SECONDS)

    def end(self) -> None:
        """Has the thread end without waiting for it."""
        if self.thread is not None and not self.closed.is_set():
            self.closed.set()
            self.log.wake()

    def close(self) -> None:
        """Waits for the work that runs; to be called before the log is closed."""
        if self.thread is not None and not self.closed.is_set():
            self.end()
            self.thread.join()
