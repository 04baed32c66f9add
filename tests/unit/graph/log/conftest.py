"""A log in Redis for the tests of this room."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.redis_server import RedisServer
from tests.unit.graph.log.logs import Open
from understudy.graph.log.streams.log import RedisLog
from understudy.graph.log.streams.options import RedisLogOptions


@pytest.fixture
def hold(redis: RedisServer, tmp_path: Path) -> Iterator[Open]:
    """Opens the test's log, each time with a data folder of its own unless one is named."""
    graph, logs = uuid4().hex, list[RedisLog]()  # those of other tests may still say what they need

    def opened(
        folder: str = "", url: str = redis.url, kept: int = 0, room: int = 2**28
    ) -> RedisLog:
        options = RedisLogOptions(url, records_kept=kept, bytes_kept=room)
        logs.append(RedisLog(options, graph, tmp_path / (folder or f"data{len(logs)}")))
        return logs[-1]

    yield opened
    for log in logs:
        log.close()
