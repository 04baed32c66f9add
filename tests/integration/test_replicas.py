"""Services with separate data folders, as on several machines, on one log in Redis."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.bundles import TinyBundle
from tests.e2e.conftest import Service, serving
from tests.redis_server import ALL_KEPT, RedisServer, redis_server

SECONDS = 60


@pytest.fixture(scope="module")
def redis_kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis"), ALL_KEPT) as server:
        yield server


@contextmanager
def replica(bundle: TinyBundle, redis: RedisServer, data: Path) -> Iterator[Service]:
    flags = ["--log", redis.url, "--data-folder", str(data), "--max-lag-seconds", "600"]
    flags += ["--snapshots", (data.parent / "store").as_uri()]
    with serving(bundle.folder, *flags) as running:
        yield running


def changed(service: Service, name: str, key: str) -> dict[str, Any]:
    """Adds a node, as often as it takes."""
    while True:
        answer = service.client.put(
            f"/nodes/{name}", json={"text": "json"}, headers={"idempotency-key": key}
        )
        if answer.status_code == 200:
            body: dict[str, Any] = answer.json()
            return body
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), answer.text
        assert answer.json()["error"]["code"] in ("log_unavailable", "change_unsure")


def read(service: Service, name: str, version: int) -> dict[str, Any]:
    """What a replica answers about a node, once it has a version."""
    answer = service.client.post(
        "/classify",
        json={"nodes": [{"id": name}]},
        headers={"x-min-graph-version": str(version)},
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["graph_version"] >= version
    return body


def test_what_one_replica_acknowledged_all_answer_whichever_is_killed(
    tiny_bundle: TinyBundle, redis_kept: RedisServer, tmp_path: Path
) -> None:
    redis, names = redis_kept, [f"n{number}" for number in range(4)]
    with ExitStack() as stack:
        one = stack.enter_context(replica(tiny_bundle, redis, tmp_path / "one"))
        with replica(tiny_bundle, redis, tmp_path / "other") as other:
            version = changed(one, "n0", "key-0")["graph_version"]
            read(other, "n0", version)
            metrics = other.client.get("/metrics").text
            assert "understudy_log_lag_records 0.0" in metrics
            assert "understudy_log_lag_seconds " in metrics
            redis.kill()
            assert read(one, "n0", version)["graph_version"] == version  # reads go on
            assert one.client.get("/health/ready").status_code == 200
            refused = other.client.put("/nodes/x", json={"text": "json"})
            assert refused.status_code == 503
            written: list[dict[str, Any]] = []
            waits = Thread(target=lambda: written.append(changed(one, "n1", "key-1")))
            waits.start()
            redis.start()
            waits.join(SECONDS)
            read(other, "n1", written[0]["graph_version"])
            version = changed(other, "n2", "key-2")["graph_version"]
            other.process.kill()
        changed(one, "n3", "key-3")
        again = stack.enter_context(replica(tiny_bundle, redis, tmp_path / "other"))
        repeated = changed(again, "n2", "key-2")
        assert repeated == {"graph_version": version, "repeated": True}
        newest = changed(again, "n1", "key-1")
        assert newest["repeated"]
        last = changed(again, "n3", "key-3")["graph_version"]
        answers = [[read(service, name, last) for name in names] for service in (one, again)]
        assert answers[0] == answers[1]
        assert last == 4  # each is there once, and the refused one is not
        while "understudy_stored_graph_version 0.0" not in again.client.get("/metrics").text:
            read(again, "n0", version)
        cold = stack.enter_context(replica(tiny_bundle, redis, tmp_path / "cold"))
        assert (tmp_path / "cold" / "snapshot-0").is_dir()
        told_cold = [read(cold, name, last)["predictions"] for name in names]
        assert told_cold == [answer["predictions"] for answer in answers[0]]
