"""Engines whose log is in Redis, each with a data folder of its own."""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.bundles import TinyBundle, write_tiny_bundle
from tests.redis_server import NOTHING_KEPT, RedisServer, redis_server
from tests.unit.engine.changes import assert_exact, ids_of
from tests.unit.engine.test_sharing import assert_alike
from understudy.bundle import BundleMissingError
from understudy.engine import Engine, Node
from understudy.engine.errors import (
    ChangeUnsureError,
    JournalFailedError,
    LogUnavailableError,
)
from understudy.engine.updates.tickets import Applied
from understudy.graph.errors import JournalDamagedError, JournalForeignError, LogUnsureError
from understudy.graph.log.protocol import Record
from understudy.graph.log.streams.options import RedisLogOptions
from understudy.graph.mutable.materialize import to_text_graph
from understudy.graph.mutations import AddEdge, UpsertNode

WAITING = "understudy.graph.log.streams.server.WAIT_MILLISECONDS"
OpenEngine = Callable[[str], Engine]


@pytest.fixture
def open_engine(
    redis: RedisServer, tiny_bundle: TinyBundle, tmp_path: Path
) -> Iterator[OpenEngine]:
    engines: list[Engine] = []
    log = RedisLogOptions(redis.url, records_kept=0)

    def opened(name: str) -> Engine:
        engines.append(Engine.open(tiny_bundle.folder, data=tmp_path / name, log=log))
        return engines[-1]

    yield opened
    for engine in engines:
        engine.close()


def test_each_starts_from_its_own_snapshot_or_from_the_bundle(
    tiny_bundle: TinyBundle, open_engine: OpenEngine
) -> None:
    one, other = open_engine("one"), open_engine("other")
    for number in range(3):
        one.apply([UpsertNode(f"a{number}", "json")], f"key-{number}")
    one.snapshot()
    other.apply([AddEdge("a0", "node-0")])
    one.close()
    again, late = open_engine("one"), open_engine("late")
    assert [e.writer.log.start for e in (again, late, other)] == [3, 0, 0]
    assert late.apply([UpsertNode("a1", "json")], "key-1") == Applied(2, repeated=True)
    assert again.apply([UpsertNode("a1", "json")], "key-1") == Applied(2, repeated=True)
    assert_alike(again, late)
    assert_alike(again, other)
    assert_exact(again, tiny_bundle)


def test_while_redis_is_away_reading_goes_on_and_changes_are_refused(
    redis: RedisServer, open_engine: OpenEngine, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = open_engine("one"), open_engine("other")
    one.apply([UpsertNode("a", "json")])
    other.follow()
    known = Event()
    with caplog.at_level(logging.INFO):
        redis.kill()
        try:
            with pytest.raises(LogUnavailableError, match="is unavailable"):
                one.apply([UpsertNode("b", "json")], "mine")
            one.follow()
            assert isinstance(one.failure, LogUnavailableError)
            behind = one.lag.seconds
            assert behind > 0
            assert other.classify([Node(id="a")])[0].error is None
        finally:
            redis.start()
        one.reach(2).add_done_callback(lambda _: known.set())
        assert other.apply([UpsertNode("b", "json")], "mine") == Applied(2)
        assert known.wait(60)  # by itself
    assert one.apply([UpsertNode("b", "json")], "mine") == Applied(2, repeated=True)
    assert one.failure is None
    assert one.lag.entries == 0
    assert "following the log again" in caplog.text
    assert_alike(one, other)


def test_batches_of_which_nobody_knows_whether_they_are_kept_are_not_made_twice(
    open_engine: OpenEngine,
) -> None:
    one, other = open_engine("one"), open_engine("other")
    append = one.writer.log.append

    def unsure(records: Sequence[Record]) -> None:
        append(records)
        raise LogUnsureError("the answer was lost")

    one.writer.log.append = unsure  # type: ignore[method-assign]
    with one.writer.lock:
        outcomes = [one.submit([UpsertNode(name, "json")]) for name in "abc"]
    for outcome in outcomes:
        assert isinstance(outcome.exception(60), ChangeUnsureError)
    one.writer.log.append = append  # type: ignore[method-assign]
    assert one.apply([UpsertNode("d", "json")]).version == 4
    assert ids_of(one) >= set("abcd")
    assert_alike(one, other)


def test_a_repeated_batch_is_acknowledged_once_it_is_as_safe_as_a_new_one(
    redis: RedisServer, tiny_bundle: TinyBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whichever replica the client asks again."""
    log = RedisLogOptions(redis.url, wait_replicas=1)
    monkeypatch.setattr(WAITING, 1)
    with (
        Engine.open(tiny_bundle.folder, data=tmp_path / "one", log=log) as one,
        Engine.open(tiny_bundle.folder, data=tmp_path / "other", log=log) as other,
    ):
        for engine in (one, one, other):
            with pytest.raises(ChangeUnsureError, match="not as safely as required: not within"):
                engine.apply([UpsertNode("a", "json")], "key")
        copying = (*NOTHING_KEPT, "--replicaof", "127.0.0.1", str(redis.port))
        (tmp_path / "copy").mkdir()
        with redis_server(tmp_path / "copy", copying) as copy:
            info: Any = {}
            while info.get("master_link_status") != "up":
                info = copy.client.info("replication")
            monkeypatch.undo()
            for engine in (one, other):
                assert engine.apply([UpsertNode("a", "json")], "key") == Applied(1, repeated=True)


def test_a_bundle_is_loaded_anew_where_another_process_moved_the_start_on(
    tiny_bundle: TinyBundle, open_engine: OpenEngine
) -> None:
    one, other = open_engine("shared"), open_engine("shared")
    one.following.close()
    other.apply([UpsertNode("a", "json")], "key")
    other.snapshot()
    assert (one.state.version, other.writer.log.start) == (0, 1)
    with Engine.open(tiny_bundle.folder, before=one) as heir:
        heir.take_over(one, lambda: None)
        assert heir.apply([UpsertNode("a", "json")], "key") == Applied(1, repeated=True)
        assert_alike(heir, other)


def test_a_folder_belongs_to_one_kind_of_log(
    tiny_bundle: TinyBundle, tmp_path: Path, open_engine: OpenEngine
) -> None:
    open_engine("one").close()
    with pytest.raises(JournalForeignError, match="belongs to a log in Redis: give its URL with"):
        Engine.open(tiny_bundle.folder, data=tmp_path / "one")
    Engine.open(tiny_bundle.folder, data=tmp_path / "own").close()
    with pytest.raises(JournalForeignError, match="is a log of its own; start without --log"):
        open_engine("own")


def test_another_bundle_takes_over_and_the_others_go_on(
    redis: RedisServer, tiny_bundle: TinyBundle, open_engine: OpenEngine, tmp_path: Path
) -> None:
    one, other = open_engine("one"), open_engine("other")
    first = [UpsertNode("a", "json")]
    one.apply(first, "key-a")
    graph = to_text_graph(one.state.graph)
    bundle = write_tiny_bundle(tmp_path / "bundle", graph=graph, seed=12)
    one.apply([UpsertNode("b", "json")])
    log = RedisLogOptions(redis.url, records_kept=0)
    with Engine.open(bundle.folder, data=tmp_path / "one", log=log, before=one) as heir:
        other.apply([UpsertNode("c", "json")])
        heir.take_over(one, lambda: None)
        one.close()
        assert heir.apply(first, "key-a").repeated
        assert heir.apply([UpsertNode("d", "json")]).version == 4
        other.follow()
        assert ids_of(heir) == ids_of(other) >= set("abcd")
        assert_exact(heir, bundle)
        assert_exact(other, tiny_bundle)
        with pytest.raises(BundleMissingError, match=r"changes newer; .* with --snapshots$"):
            Engine.open(bundle.folder, data=tmp_path / "new", log=log)
        heir.snapshot()
    for name in ("one", "other"):  # at a start, from a snapshot or from what it began with
        with Engine.open(bundle.folder, data=tmp_path / name, log=log) as engine:
            assert engine.state.version == 4
            assert_exact(engine, bundle)


def test_a_log_needs_a_folder(tiny_bundle: TinyBundle) -> None:
    with pytest.raises(ValueError, match="data folder"):
        Engine.open(tiny_bundle.folder, log=RedisLogOptions("redis://127.0.0.1:1/0"))


def test_a_log_that_is_gone_is_noticed_and_not_begun_anew(
    redis: RedisServer, open_engine: OpenEngine
) -> None:
    one = open_engine("one")
    one.apply([UpsertNode("a", "json")])
    one.snapshot()
    redis.client.flushall()
    one.follow()
    assert isinstance(one.failure, JournalFailedError)
    assert not isinstance(one.failure, LogUnavailableError)  # it does not come back
    assert one.classify([Node(id="a")])[0].error is None
    one.close()
    with pytest.raises(JournalDamagedError, match="is missing or was replaced"):
        open_engine("one")


def test_a_restart_does_not_go_on_without_what_redis_lost(
    redis: RedisServer, open_engine: OpenEngine
) -> None:
    one = open_engine("one")
    one.apply([UpsertNode("a", "json")])
    kept = {key: redis.client.dump(key) for key in redis.client.scan_iter()}
    one.apply([UpsertNode("b", "json")], "key")
    redis.client.flushall()
    for key, value in kept.items():
        # An older copy, as after a fail-over.
        redis.client.restore(key, 0, value or b"", replace=True)
    one.follow()
    assert isinstance(one.failure, JournalFailedError)
    one.close()
    with pytest.raises(JournalDamagedError, match=r"lost acknowledged changes.* without them"):
        open_engine("one")
    (one.snapshots.data / "redis-log.json.reached").unlink()  # type: ignore[union-attr]
    again = open_engine("one")
    assert again.apply([UpsertNode("b", "json")], "key") == Applied(2)
