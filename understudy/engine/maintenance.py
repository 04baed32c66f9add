"""What may wait until nothing else is to be done, on a thread of its own."""

import logging
from collections.abc import Callable
from threading import Event, Lock, Thread
from time import monotonic
from weakref import WeakMethod

logger = logging.getLogger(__name__)

QUIET_SECONDS = 1.0  # without a change, before the work begins
REST_SECONDS = 0.01  # for changes, between pieces of work that is done though these come
BUSY_SECONDS = 30.0  # after which it begins although changes keep coming


class Maintenance:
    """Runs a piece of work once changes pause, or have kept coming for long."""

    def __init__(self, work: Callable[[], None], quiet_seconds: float = QUIET_SECONDS) -> None:
        self.work = work
        self.quiet_seconds = quiet_seconds
        self.changed = Event()
        self.closed = Event()
        self.lock = Lock()
        self.thread: Thread | None = None

    def notice(self) -> None:
        """A change was made; the first one starts the thread."""
        if self.thread is None:
            with self.lock:
                if self.thread is None and not self.closed.is_set():
                    self.thread = Thread(target=self.run, name="maintenance", daemon=True)
                    self.thread.start()
        if not self.changed.is_set():
            self.changed.set()

    def close(self) -> None:
        """Waits for the work that runs."""
        with self.lock:
            self.end()
        if self.thread is not None:
            self.thread.join()

    def end(self) -> None:
        """Has the thread end without waiting for it."""
        self.closed.set()
        self.changed.set()

    def rest(self) -> bool:
        """Between pieces of the work, on its thread; whether the end has come."""
        return self.closed.wait(REST_SECONDS)

    def run(self) -> None:
        while self.pause():
            try:
                self.work()
            except Exception:  # the thread must live on, whatever one round met
                logger.exception("maintenance failed; it is tried again after the next change")

    def pause(self) -> bool:
        """Returns True once it is time, False once the end has come."""
        self.changed.wait()
        deadline = monotonic() + BUSY_SECONDS
        while self.changed.is_set() and monotonic() < deadline:
            self.changed.clear()
            if self.closed.wait(self.quiet_seconds):
                return False
        return not self.closed.is_set()


def weakly(work: Callable[[], None]) -> Callable[[], None]:
    """A method as work for another thread, which must not keep the object alive."""
    method = WeakMethod(work)

    def call() -> None:
        alive = method()
        if alive is not None:
            alive()

    return call
