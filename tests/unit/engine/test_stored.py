"""Snapshots in a store, from which replicas without any start."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from threading import Event

import fsspec
import pytest

from tests.bundles import TinyBundle
from tests.redis_server import RedisServer
from tests.unit.engine.changes import assert_exact
from tests.unit.engine.test_sharing import assert_alike
from understudy.engine import Engine
from understudy.engine.stored import KEPT, SnapshotStore
from understudy.engine.updates.tickets import Applied
from understudy.engine.uploads import Uploads
from understudy.graph.errors import (
    JournalDamagedError,
    JournalForeignError,
    SnapshotStoreError,
)
from understudy.graph.log.streams.base import Base
from understudy.graph.log.streams.log import RedisLog
from understudy.graph.log.streams.options import RedisLogOptions
from understudy.graph.log.streams.server import text
from understudy.graph.mutations import AddEdge, UpsertNode

OpenEngine = Callable[..., Engine]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return (tmp_path / "store").as_uri()


@pytest.fixture
def open_engine(
    redis: RedisServer,
    tiny_bundle: TinyBundle,
    tmp_path: Path,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[OpenEngine]:
    engines: list[Engine] = []
    monkeypatch.setattr(Uploads, "notice", lambda _: None)  # what is stored when the tests tell

    def opened(name: str, snapshots: str = url) -> Engine:
        log = RedisLogOptions(redis.url, records_kept=0, snapshots=snapshots)
        engine = Engine.open(tiny_bundle.folder, data=tmp_path / name, log=log)
        engines.append(engine)
        return engine

    yield opened
    for engine in engines:
        engine.close()


def stored(engine: Engine) -> None:
    """Writes a snapshot, and stores it."""
    engine.snapshot()
    engine.uploads.store()


def log_start(redis: RedisServer, engine: Engine) -> int:
    """Number of the last record that Redis has forgotten."""
    log = engine.writer.log
    assert isinstance(log, RedisLog)
    return int(text(redis.client.hget(log.about_key, "start") or ""))


def markers(url: str) -> list[int]:
    files, root = fsspec.url_to_fs(url)
    return sorted(
        int(path.split("/")[-2].split("-")[1])
        for path in files.glob(f"{root}/*/*/*.json")
        if path.endswith("stored.json")
    )


@pytest.mark.skipif(find_spec("s3fs") is not None, reason="the package is installed")
def test_the_package_that_a_url_needs_is_named(tmp_path: Path) -> None:
    with pytest.raises(SnapshotStoreError, match=r"s3://bucket/x cannot be used .*Install s3fs"):
        SnapshotStore("s3://name:secret@bucket/x", "lineage", tmp_path)


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_cold_replica_starts_from_the_newest_one_and_follows(
    kind: str, tiny_bundle: TinyBundle, open_engine: OpenEngine, url: str, tmp_path: Path
) -> None:
    url = url if kind == "file" else f"memory://{tmp_path.name}"
    one = open_engine("one", url)
    for number in range(3):
        one.apply([UpsertNode(f"a{number}", "json")], f"key-{number}")
    stored(one)
    one.apply([AddEdge("a0", "node-0")])
    cold = open_engine("cold", url)
    assert (cold.writer.log.start, cold.writer.log.snapshot) == (3, "snapshot-3")
    assert cold.apply([UpsertNode("a1", "json")], "key-1") == Applied(2, repeated=True)
    assert_alike(one, cold)
    assert_exact(cold, tiny_bundle)
    assert cold.uploads.figures.number in (-1, 3)
    cold.close()
    again = open_engine("cold", url)  # from its own folder
    assert_alike(one, again)


def test_records_that_a_cold_replica_needs_are_kept(
    redis: RedisServer, open_engine: OpenEngine, tmp_path: Path
) -> None:
    one = open_engine("one")
    one.apply([UpsertNode("a", "json")])
    one.snapshot()  # and not stored
    first = open_engine("first")
    assert first.writer.log.start == 0
    first.close()
    one.uploads.store()
    one.apply([UpsertNode("b", "json")])
    one.snapshot()
    assert log_start(redis, one) == 1
    second = open_engine("second")
    assert second.writer.log.start == 1
    assert_alike(one, second)


def test_a_replica_whose_own_snapshot_is_too_old_takes_a_stored_one(
    redis: RedisServer, open_engine: OpenEngine
) -> None:
    late = open_engine("late")
    late.apply([UpsertNode("a", "json")])
    late.close()
    one = open_engine("one")
    for name in "bc":
        one.apply([UpsertNode(name, "json")])
        stored(one)
        one.apply([UpsertNode(f"{name}2", "json")])
    one.snapshot()
    assert log_start(redis, one) > 0
    late = open_engine("late")
    assert late.writer.log.start == 4
    assert_alike(one, late)


def test_what_the_log_began_with_is_stored_at_once(
    redis: RedisServer,
    tiny_bundle: TinyBundle,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done, put = Event(), SnapshotStore.put

    def putting(store: SnapshotStore, folder: Path, base: Base) -> None:
        put(store, folder, base)
        done.set()

    monkeypatch.setattr(SnapshotStore, "put", putting)
    log = RedisLogOptions(redis.url, records_kept=0, snapshots=url)
    with Engine.open(tiny_bundle.folder, data=tmp_path / "one", log=log):
        assert done.wait(60)
    assert markers(url) == [0]


def test_only_the_newest_few_are_kept(open_engine: OpenEngine, url: str) -> None:
    one = open_engine("one")
    for number in range(KEPT + 2):
        one.apply([UpsertNode(f"a{number}", "json")])
        stored(one)
    assert markers(url) == list(range(3, KEPT + 3))


def test_one_that_is_not_whole_is_not_there(
    open_engine: OpenEngine, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = open_engine("one")
    one.apply([UpsertNode("a", "json")])
    stored(one)
    one.apply([UpsertNode("b", "json")])
    store = one.writer.log.store  # type: ignore[attr-defined]
    put_file, calls = store.files.put_file, []

    def broken(source: str, target: str) -> None:
        calls.append(target)
        if len(calls) > 2:
            raise OSError("the line is cut")
        put_file(source, target)

    monkeypatch.setattr(store.files, "put_file", broken)
    one.snapshot()
    one.uploads.try_to_store()
    assert one.uploads.figures.failures >= 1
    assert markers(url)[-1] == 1
    monkeypatch.setattr(store.files, "put_file", put_file)
    cold = open_engine("cold")
    assert cold.writer.log.start == 1
    assert_alike(one, cold)


def test_while_the_store_is_away_all_else_goes_on(
    open_engine: OpenEngine, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = open_engine("one")
    (tmp_path / "store").write_text("in its place")
    one.apply([UpsertNode("a", "json")])
    one.snapshot()
    failures = one.uploads.figures.failures
    caplog.clear()
    one.uploads.try_to_store()
    assert one.uploads.figures.failures == failures + 1
    assert "could not be stored" in caplog.text
    assert one.apply([UpsertNode("b", "json")]).version == 2
    one.close()
    open_engine("one").close()  # it has a snapshot of its own
    with pytest.raises(SnapshotStoreError, match="cannot be read"):
        open_engine("cold")


def test_a_damaged_stored_snapshot_is_reported(
    open_engine: OpenEngine, url: str, tmp_path: Path
) -> None:
    one = open_engine("one")
    one.apply([UpsertNode("a", "json")])
    stored(one)
    [logits] = (tmp_path / "store").glob("*/snapshot-1-*/activations/logits.npy")
    content = bytearray(logits.read_bytes())
    content[-1] ^= 1
    logits.write_bytes(content)
    with pytest.raises(SnapshotStoreError, match=r"logits\.npy: its content is not what was sto"):
        open_engine("cold")
    assert not list((tmp_path / "cold").glob("snapshot-*"))


def test_a_log_that_is_gone_is_not_begun_anew(redis: RedisServer, open_engine: OpenEngine) -> None:
    one = open_engine("one")
    one.apply([UpsertNode("a", "json")])
    stored(one)
    one.close()
    redis.client.flushall()
    with pytest.raises(JournalDamagedError, match=r"is missing or was replaced.*--snapshots to "):
        open_engine("cold")
    open_engine("other", "")  # begins another log
    with pytest.raises(JournalForeignError, match="snapshots of another log"):
        open_engine("cold")


def test_a_log_is_begun_anew_with_another_place_for_snapshots(
    redis: RedisServer, open_engine: OpenEngine, url: str
) -> None:
    one = open_engine("one")
    one.apply([UpsertNode("a", "json")])
    stored(one)
    one.close()
    redis.client.flushall()
    anew = open_engine("anew", f"{url}-anew")
    assert anew.state.version == 0
    anew.apply([UpsertNode("b", "json")])
    stored(anew)
    assert open_engine("cold", f"{url}-anew").state.version == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nowhere://bucket/folder", "nowhere"),
        ("file:///proc/version/below", "cannot be read"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_line(
    open_engine: OpenEngine, url: str, message: str
) -> None:
    with pytest.raises(SnapshotStoreError, match=message) as found:
        open_engine("one", url)
    assert "\n" not in str(found.value)
    assert "--snapshots" in str(found.value)


def test_its_place_is_told_without_secrets(tmp_path: Path) -> None:
    store = SnapshotStore("memory://name:secret@bucket/folder?token=secret", "graph", tmp_path)
    assert store.where == "the store memory://bucket/folder"
    assert store.newest() is None


def test_what_is_no_record_of_a_snapshot_is_refused(tmp_path: Path) -> None:
    store = SnapshotStore((tmp_path / "store").as_uri(), "graph", tmp_path)
    folder = tmp_path / "snapshot-2"
    folder.mkdir()
    (folder / "file").write_text("text")
    store.put(folder, Base("graph", "birth", "link", 2, "elsewhere"))
    with pytest.raises(SnapshotStoreError, match="names something that is not a snapshot"):
        store.newest()
