"""Replicas that start while others shorten the log: Redis keeps what each of them needs.

At every step of a start another replica writes a snapshot, stores it or not, and has Redis forget
all that it may. Among all that may happen to a log (`test_log_machine`) that is too rare to be met.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.bundles import TinyBundle
from tests.integration.test_log_machine import Process
from tests.redis_server import RedisServer
from understudy.engine.stored import SnapshotStore
from understudy.graph.errors import SnapshotStoreError
from understudy.graph.log.streams.log import RedisLog
from understudy.graph.log.streams.options import RedisLogOptions
from understudy.graph.log.streams.server import Server
from understudy.graph.mutations import UpsertNode

STEPS = 6  # of a start: questions to Redis and to the store


class Replicas:
    """Two replicas with a data folder each; what one does while the other starts is done whole."""

    def __init__(self, bundle: TinyBundle, redis: RedisServer, folder: Path) -> None:
        redis.client.flushall()
        self.bundle, self.folder = bundle, folder / uuid4().hex
        store = (self.folder / "store").as_uri()
        self.options = RedisLogOptions(redis.url, records_kept=0, snapshots=store)
        self.folders = self.changes = 0
        self.left = 0  # steps of the start that runs, until `meanwhile`
        self.meanwhile: Callable[[], object] | None = None
        self.one, self.other = self.begin(self.new_folder()), self.begin(self.new_folder())

    def stepping(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            work, self.left = self.meanwhile, self.left - 1
            if work is not None and self.left < 0:
                self.meanwhile = None
                work()
            return function(*arguments)

        return call

    def new_folder(self) -> Path:
        self.folders += 1
        return self.folder / f"data-{self.folders}"

    def begin(self, data: Path) -> Process:
        """Starts a replica; one that finds the store changed under its hands starts again."""
        with suppress(SnapshotStoreError):
            return Process(self.bundle, data, self.options)
        return Process(self.bundle, data, self.options)

    def change(self) -> None:
        self.changes += 1
        self.one.writer.apply([UpsertNode(f"new-{self.changes}", "json parser")])

    def keep(self) -> None:
        """A snapshot that is not stored."""
        self.change()
        self.one.snapshots.write()

    def move_on(self) -> None:
        """A snapshot that is stored, and the end of what lies before it."""
        self.keep()
        self.one.uploads.store()
        assert isinstance(self.one.writer.log, RedisLog)
        self.one.writer.log.trim()

    def start(self, data: Path, at: int, meanwhile: Callable[[], object]) -> None:
        """Ends the other one as it should, since a killed one's need stands in Redis for minutes.

        Args:
            at: step of its start at which this happens.
        """
        self.other.writer.close()
        self.meanwhile, self.left = meanwhile, at
        try:
            self.other = self.begin(data)
        finally:
            self.meanwhile = None
        self.other.writer.follow()
        state = self.other.writer.state
        assert state.version == self.changes
        for number in range(self.changes):
            assert state.graph.row_of(f"new-{number + 1}") is not None


@contextmanager
def replicas(bundle: TinyBundle, redis: RedisServer, folder: Path) -> Iterator[Replicas]:
    pair = Replicas(bundle, redis, folder)
    try:
        with pytest.MonkeyPatch.context() as patched:
            for kind, name in (
                (Server, "run"),
                (SnapshotStore, "newest"),
                (SnapshotStore, "bring"),
            ):
                patched.setattr(kind, name, pair.stepping(getattr(kind, name)))
            yield pair
    finally:
        for process in (pair.one, pair.other):
            process.writer.close()


@pytest.mark.parametrize("stored", [True, False])
def test_what_a_starting_replica_needs_is_kept(
    tiny_bundle: TinyBundle, redis: RedisServer, tmp_path: Path, stored: bool
) -> None:
    for at in range(STEPS):
        with replicas(tiny_bundle, redis, tmp_path) as pair:
            meanwhile = pair.move_on if stored else pair.keep
            pair.start(pair.new_folder(), at, meanwhile)  # of a log that was as it began
            pair.move_on()
            pair.start(pair.new_folder(), at, meanwhile)
            pair.start(pair.other.data, at, meanwhile)
