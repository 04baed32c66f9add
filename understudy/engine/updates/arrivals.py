"""Callers that wait for a version of the graph."""

from concurrent.futures import Future
from threading import Lock


class Arrivals:
    """Wakes callers at a version; thread-safe, and almost free for a change while none waits."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.waiting: dict[Future[None], int] = {}
        self.released = False

    def enter(self, version: int) -> Future[None]:
        """Returns a future, done when `reached` reports this version or a later one, or at the end.

        The caller must check whether the version is already there after this call, not before.
        """
        arrival: Future[None] = Future()
        with self.lock:
            if self.released:
                arrival.set_result(None)
            else:
                self.waiting[arrival] = version
        arrival.add_done_callback(self.forget)
        return arrival

    def forget(self, arrival: Future[None]) -> None:
        """Forgets a cancelled or finished waiter."""
        with self.lock:
            self.waiting.pop(arrival, None)

    def reached(self, version: int) -> None:
        """Wakes the callers that wait for this version or an earlier one."""
        if self.waiting:
            with self.lock:
                there = [arrival for arrival, wanted in self.waiting.items() if wanted <= version]
            wake(there)

    def release(self) -> None:
        """Wakes all callers; no later versions will come."""
        with self.lock:
            self.released = True
            everybody = list(self.waiting)
        wake(everybody)


def wake(arrivals: list[Future[None]]) -> None:
    for arrival in arrivals:
        if arrival.set_running_or_notify_cancel():
            arrival.set_result(None)
