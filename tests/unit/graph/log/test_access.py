"""A Redis that lets nobody in says why, and not that it may lose changes."""

from pathlib import Path

import pytest

from tests.redis_server import redis_server
from tests.unit.graph.log.logs import BUNDLE
from understudy.graph.errors import JournalError
from understudy.graph.log.streams.log import RedisLog
from understudy.graph.log.streams.options import RedisLogOptions


@pytest.mark.parametrize("wait_disk", [False, True])
@pytest.mark.parametrize(
    ("user", "database", "words"),
    [
        (":wrong@", 0, "denies access: invalid username-password"),
        ("", 0, "denies access: Authentication required"),
        (":right@", 99, "refuses: DB index is out of range"),
    ],
)
def test_a_wrong_password_or_database_is_told_as_that(
    tmp_path: Path, user: str, database: int, words: str, wait_disk: bool
) -> None:
    with redis_server(tmp_path) as server:
        server.client.config_set("requirepass", "right")
        url = f"redis://{user}127.0.0.1:{server.port}/{database}"
        with pytest.raises(JournalError, match=words) as refused:
            RedisLog(RedisLogOptions(url, wait_disk=wait_disk), BUNDLE, tmp_path / "data")
    assert "--log-" not in str(refused.value)
