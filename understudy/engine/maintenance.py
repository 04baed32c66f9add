"""A background thread for work that may wait until the engine is idle."""

import logging
from collections.abc import Callable
from threading import Event, Lock, Thread
from time import monotonic
from weakref import WeakMethod

logger = logging.getLogger(__name__)

QUIET_SECONDS = 1.0  # without a change, before the work starts
REST_SECONDS = 0.01  # pause for changes, between pieces of work that runs despite them
BUSY_SECONDS = 30.0  # after this long the work starts although changes keep arriving


class Maintenance:
    """Runs a piece of work once changes pause, or have kept arriving for long."""

    def __init__(self, work: Callable[[], None], quiet_seconds: float = QUIET_SECONDS) -> None:
        self.work = work
        self.quiet_seconds = quiet_seconds
        self.changed = Event()
        self.closed = Event()
        self.lock = Lock()
        self.thread: Thread | None = None

    def notice(self) -> None:
        """Reports a change; the first one starts the thread."""
        if self.thread is None:
            with self.lock:
                if self.thread is None and not self.closed.is_set():
                    self.thread = Thread(target=self.run, name="maintenance", daemon=True)
                    self.thread.start()
        if not self.changed.is_set():
            self.changed.set()

    def close(self) -> None:
        """Ends the thread, and waits for running work."""
        with self.lock:
            self.end()
        if self.thread is not None:
            self.thread.join()

    def end(self) -> None:
        """Tells the thread to end, without waiting for it."""
        self.closed.set()
        self.changed.set()

    def rest(self) -> bool:
        """Pauses between pieces of work, on the thread; returns whether it has to end."""
        return self.closed.wait(REST_SECONDS)

    def run(self) -> None:
        while self.pause():
            try:
                self.work()
            except Exception:  # the thread must survive any error of one round
                logger.exception("maintenance failed; it will be retried after the next change")

    def pause(self) -> bool:
        """Waits until it is time to work (True) or the thread has to end (False)."""
        self.changed.wait()
        deadline = monotonic() + BUSY_SECONDS
        while self.changed.is_set() and monotonic() < deadline:
            self.changed.clear()
            if self.closed.wait(self.quiet_seconds):
                return False
        return not self.closed.is_set()


def weakly(work: Callable[[], None]) -> Callable[[], None]:
    """Wraps a method as work for another thread, without keeping its object alive."""
    method = WeakMethod(work)

    def call() -> None:
        alive = method()
        if alive is not None:
            alive()

    return call
