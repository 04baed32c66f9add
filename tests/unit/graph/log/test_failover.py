"""A log in Redis during a failover that keeps its connections."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.lossy_proxy import LossyProxy, lossy_proxy
from tests.redis_server import ALL_KEPT, REDIS, VALKEY, RedisServer, redis_server
from tests.unit.graph.log.logs import BUNDLE, records
from understudy.graph.log.streams import news
from understudy.graph.log.streams.log import RedisLog
from understudy.graph.log.streams.options import RedisLogOptions

SECONDS = 30


@pytest.fixture(params=[REDIS, VALKEY], ids=["redis", "valkey"])
def servers(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[RedisServer, RedisServer]]:
    """One, and another that follows it."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with (
        redis_server(tmp_path / "first", ALL_KEPT, request.param) as first,
        redis_server(tmp_path / "second", ALL_KEPT, request.param) as second,
    ):
        follow(second, "127.0.0.1", str(first.port))
        info: Any = {}
        while info.get("master_link_status") != "up":
            info = second.client.info("replication")
        yield first, second


def follow(server: RedisServer, *whom: str) -> None:
    client: Any = server.client
    client.execute_command("REPLICAOF", *whom)


def fail_over(first: RedisServer, second: RedisServer, proxy: LossyProxy) -> None:
    """The second writes from now on; who connects to the proxy's address comes to it."""
    while first.client.wait(1, 1_000) < 1:
        pass
    follow(second, "NO", "ONE")
    proxy.to = second.port
    follow(first, "127.0.0.1", "1")  # it hears of nothing any more


def test_a_change_goes_to_the_server_that_writes_now(
    servers: tuple[RedisServer, RedisServer], tmp_path: Path
) -> None:
    with lossy_proxy(servers[0].port) as proxy:
        options = RedisLogOptions(f"redis://127.0.0.1:{proxy.port}/0")
        with closing(RedisLog(options, BUNDLE, tmp_path / "data")) as log:
            log.append(records(2))
            fail_over(*servers, proxy)
            log.append(records(1, first=3))
            assert servers[1].client.xlen(log.records_key) == 3


def test_who_only_reads_hears_what_the_other_server_has(
    servers: tuple[RedisServer, RedisServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "BEAT_SECONDS", 0.1)
    with lossy_proxy(servers[0].port) as proxy:
        options = RedisLogOptions(f"redis://127.0.0.1:{proxy.port}/0")
        with closing(RedisLog(options, BUNDLE, tmp_path / "reader")) as reader:
            with closing(RedisLog(options, BUNDLE, tmp_path / "writer")) as writer:
                writer.append(records(2))
                assert len(reader.read(0)) == 2
                fail_over(*servers, proxy)
                writer.append(records(1, first=3))
            until = time.monotonic() + SECONDS
            while not (found := reader.read(2)) and time.monotonic() < until:
                reader.wait(1)
            assert found == records(1, first=3)
