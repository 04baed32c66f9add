"""A Redis that denies access: the error gives that reason, not a risk of losing changes."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.redis_server import RedisServer, redis_server
from tests.unit.graph.log.logs import BUNDLE, records
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


@pytest.mark.parametrize("name", ["about", "followers"])
def test_another_program_s_data_is_named_at_the_start(tmp_path: Path, name: str) -> None:
    with redis_server(tmp_path) as server:
        key = f"{{understudy:log:{BUNDLE}}}:{name}"
        server.client.set(key, "theirs")
        with pytest.raises(JournalError) as refused:
            opened(server, tmp_path)
        assert f"remove or rename {key} (string)" in str(refused.value)
        assert server.client.get(key) == b"theirs"


@pytest.mark.parametrize("name", ["records", "sent"])
def test_another_program_s_data_is_named_when_a_change_is_refused(
    tmp_path: Path, name: str
) -> None:
    with redis_server(tmp_path) as server, closing(opened(server, tmp_path)) as log:
        key = f"{{understudy:log:{BUNDLE}}}:{name}"
        server.client.rpush(key, "theirs")
        with pytest.raises(JournalError) as refused:
            log.push(records(1))
        assert f"remove or rename {key} (list)" in str(refused.value)
        server.client.delete(key)
        assert log.push(records(1)) == 1


def opened(server: RedisServer, folder: Path) -> RedisLog:
    return RedisLog(RedisLogOptions(server.url, allow_loss=True), BUNDLE, folder / "data")
