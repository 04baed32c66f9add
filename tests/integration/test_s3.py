"""Snapshots in a bucket, if s3fs and moto (its server) are installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bundles import TinyBundle
from tests.redis_server import RedisServer
from tests.unit.engine.test_sharing import assert_alike
from understudy.engine import Engine
from understudy.engine.remote_backup import restore_stored, store_backup
from understudy.engine.uploads import Uploads
from understudy.graph.errors import SnapshotStoreError
from understudy.graph.log.streams.options import RedisLogOptions
from understudy.graph.mutations import UpsertNode

s3fs = pytest.importorskip("s3fs")
moto = pytest.importorskip("moto.server")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = moto.ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    _, port = server.get_host_and_port()
    for name, value in (("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("bucket")
    yield "s3://bucket/snapshots"
    server.stop()


def test_a_replica_starts_cold_from_a_bucket(
    tiny_bundle: TinyBundle,
    redis: RedisServer,
    tmp_path: Path,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Uploads, "notice", lambda _: None)

    def opened(name: str, snapshots: str) -> Engine:
        log = RedisLogOptions(redis.url, records_kept=0, snapshots=snapshots)
        return Engine.open(tiny_bundle.folder, data=tmp_path / name, log=log)

    with opened("one", bucket) as one:
        one.apply([UpsertNode("a", "json")])
        one.snapshot()
        one.uploads.store()
        assert one.uploads.figures.number == 1
        one.apply([UpsertNode("b", "json")])
        with opened("cold", bucket) as cold:
            assert cold.writer.log.snapshot == "snapshot-1"
            assert_alike(one, cold)
    with pytest.raises(SnapshotStoreError, match="the bucket other does not exist; create it"):
        opened("two", "s3://other/snapshots")
    assert not s3fs.S3FileSystem().exists("other")


def test_a_backup_comes_back_from_a_bucket(
    tiny_bundle: TinyBundle, tmp_path: Path, bucket: str
) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path / "data") as engine:
        engine.apply([UpsertNode("a", "json")])
        made = store_backup(tmp_path / "data", f"{bucket}/monday")
        assert restore_stored(f"{bucket}/monday", tmp_path / "restored") == made
        with Engine.open(tiny_bundle.folder, data=tmp_path / "restored") as restored:
            assert_alike(engine, restored)
    with pytest.raises(SnapshotStoreError, match="the bucket other does not exist; create it"):
        store_backup(tmp_path / "data", "s3://other/monday")
