"""A thread that applies what other processes append to the log."""

import logging
from collections.abc import Callable
from threading import Event, Thread

from understudy.graph.log.protocol import Log

logger = logging.getLogger(__name__)

NEWS_SECONDS = 1.0  # without news it looks this often: a killed process announces none


class Following:
    """Runs a piece of work whenever a log has news, until it is closed."""

    def __init__(self, log: Log, work: Callable[[], None]) -> None:
        """Starts the thread, if other processes can append to the log.

        Args:
            work: applies what is new; also called once at the start.
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
            except Exception:  # the thread must survive any error of one round
                logger.exception("following the log failed; retrying")
            more = self.log.wait(NEWS_SECONDS)

    def end(self) -> None:
        """Tells the thread to end, without waiting for it."""
        if self.thread is not None and not self.closed.is_set():
            self.closed.set()
            self.log.wake()

    def close(self) -> None:
        """Ends the thread and waits for running work; must be called before the log is closed."""
        if self.thread is not None and not self.closed.is_set():
            self.end()
            self.thread.join()
