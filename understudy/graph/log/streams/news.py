"""A thread that waits in Redis for new records, and reports there that its process lives."""

from collections.abc import Callable
from contextlib import closing
from threading import Condition, Thread
from time import monotonic
from typing import Any

from redis.exceptions import RedisError

from understudy.graph.log.streams.base import Base
from understudy.graph.log.streams.scripts import FOLLOW, STORED
from understudy.graph.log.streams.server import FIRST_PAUSE, LONGEST_PAUSE, evaluate

BLOCK_MILLISECONDS = 1_000  # per request; also how long the thread may outlive its log
BEAT_SECONDS = 5.0


class News:
    """Tracks whether there are new records; its thread holds no reference to the log.

    Attributes:
        number: records up to here are not news.
        needed: number after which this process needs records, now or on a restart.
        moved: whether a writing server was found again, maybe another one; the old connection may
            read from a server that lost its role. `RedisLog.read` resets it.
        stored: number of a snapshot in the store, 0 if none is known; None without a store.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        keys: tuple[str, str, str],
        base: Base,
        process: str,
        stored: int | None = None,
    ) -> None:
        """Starts the thread.

        Args:
            keys: of the log's description, its records and its followers.
            base: where this process begins.
        """
        about, self.stream, followers = keys
        self.keys, self.birth = [about, followers], base.birth
        self.process = process
        self.number = self.needed = base.number
        self.stored = stored
        self.changed = Condition()
        self.fresh = self.closed = False
        self.moved = False
        self.beaten = float("-inf")  # monotonic
        self.thread = Thread(target=self.watch, args=(connect(),), name="news", daemon=True)
        self.thread.start()

    def watch(self, client: Any) -> None:
        pause = FIRST_PAUSE
        with closing(client):
            while not self.closed:
                try:
                    self.beat(client)
                    self.moved = self.moved or pause > FIRST_PAUSE
                    after = {self.stream: f"{self.number}-0"}
                    found = client.xread(after, count=1, block=BLOCK_MILLISECONDS)
                except (RedisError, OSError):  # reported by the reader of the log
                    client.connection_pool.disconnect()  # another server may have taken its place
                    self.beaten = float("-inf")  # a beat checks that it can write
                    self.until(lambda: False, pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
                    continue
                if found or pause > FIRST_PAUSE:  # or Redis is back
                    self.notify()
                pause = FIRST_PAUSE

    def beat(self, client: Any) -> None:
        if monotonic() - self.beaten >= BEAT_SECONDS:
            evaluate(client, FOLLOW, self.keys, [self.birth, self.process, self.needed])
            if self.stored is not None:
                evaluate(client, STORED, self.keys, [self.birth, self.stored])
            self.beaten = monotonic()

    def until(self, reached: Callable[[], bool], seconds: float) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.closed or reached(), seconds)

    def notify(self) -> None:
        """Wakes the waiting thread, and gives it time to read."""
        with self.changed:
            before = self.number
            self.fresh = True
            self.changed.notify_all()
        self.until(lambda: self.number > before, BLOCK_MILLISECONDS / 1_000)

    def reached(self, number: int) -> None:
        """Reports that records up to a number are read."""
        with self.changed:
            self.number = max(self.number, number)
            self.changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Waits for news or a timeout; False once it is closed."""
        with self.changed:
            self.changed.wait_for(lambda: self.fresh or self.closed, seconds)
            self.fresh = False
            return not self.closed

    def wake(self) -> None:
        with self.changed:
            self.fresh = True
            self.changed.notify_all()

    def close(self) -> None:
        """Makes the thread end, without waiting for it."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
