"""The log in Redis: outages, lost answers, a lossy server and a trimmed stream."""

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.lossy_proxy import lossy_proxy
from tests.redis_server import (
    ALL_KEPT,
    KEPT_LATER,
    NOTHING_KEPT,
    VALKEY,
    RedisServer,
    redis_server,
)
from tests.unit.graph.log.logs import (
    BUNDLE,
    Open,
    found,
    keys_of,
    records,
    redis_and_valkey,
)
from understudy.graph.errors import (
    JournalDamagedError,
    JournalError,
    JournalForeignError,
    LogAwayError,
    LogUnsureError,
)
from understudy.graph.log.protocol import Record
from understudy.graph.log.streams import log as module
from understudy.graph.log.streams.base import BASE_FILE
from understudy.graph.log.streams.entries import arguments_of, next_link
from understudy.graph.log.streams.log import RedisLog
from understudy.graph.log.streams.options import RedisLogOptions

WAITING = "understudy.graph.log.streams.server.WAIT_MILLISECONDS"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(module, "START_SECONDS", 0.05)


@redis_and_valkey
def test_an_append_whose_answer_was_lost_is_kept_once(redis: RedisServer, hold: Open) -> None:
    with lossy_proxy(redis.port) as proxy:
        log = hold(url=f"redis://127.0.0.1:{proxy.port}/0")
        proxy.losing = b"EVALSHA"
        log.append(records(2))
        proxy.losing = b"EVALSHA"
        assert log.push([Record(0, "mine", b"a")]) == 3
        assert proxy.lost == 2
        assert [record.number for record in hold().read(0)] == [1, 2, 3]
        assert log.read(2)[0].key == "mine"
        log.close()


@redis_and_valkey
def test_a_batch_that_comes_after_a_later_one_is_refused(hold: Open) -> None:
    log = hold()
    log.push(records(1))
    log.push(records(1))
    log.sequence = 0
    with pytest.raises(JournalError, match="came late"):
        log.push(records(1))
    assert len(found(hold())) == 2


@pytest.mark.usefixtures("impatient")
def test_without_redis_the_fate_of_a_batch_is_unknown(redis: RedisServer, hold: Open) -> None:
    log = hold()
    log.append(records(2))
    redis.kill()
    try:
        with pytest.raises(LogAwayError, match="the graph can still be read"):
            log.read(2)
        with pytest.raises(LogUnsureError, match="send it again with the same key"):
            log.append(records(1, first=3))
        with pytest.raises(LogAwayError):
            hold("late")
    finally:
        redis.start()
    assert log.read(0) == records(2)
    log.append(records(1, first=3))
    assert hold("late").read(0) == records(3)


@redis_and_valkey
def test_a_short_outage_is_waited_for(redis: RedisServer, hold: Open) -> None:
    log = hold()
    log.append(records(1))
    redis.kill()
    appending = Thread(target=log.append, args=(records(1, first=2),))
    appending.start()
    redis.start()
    appending.join(60)
    assert log.number == 2
    assert hold().read(0) == records(2)


def test_who_starts_waits_for_redis(redis: RedisServer, hold: Open) -> None:
    hold().append(records(2))
    redis.kill()
    found_late: list[Record] = []
    starting = Thread(target=lambda: found_late.extend(found(hold("late"))))
    starting.start()
    redis.start()
    starting.join(60)
    assert found_late == records(2)


def test_who_starts_says_once_that_it_waits_for_redis(
    redis: RedisServer,
    hold: Open,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "START_SECONDS", 0.2)  # time for two more attempts
    redis.kill()
    try:
        with pytest.raises(LogAwayError, match=r"after 0\.2 s: start it, or correct --log"):
            hold()
    finally:
        redis.start()
    (message,) = [record.getMessage() for record in caplog.records]
    assert f"127.0.0.1:{redis.port} is unavailable (" in message
    assert message.endswith("): waiting for it up to 0.2 s")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (NOTHING_KEPT, "set `appendonly yes` and `appendfsync always` there"),
        ((*NOTHING_KEPT[:2], "--appendonly", "yes"), "appendfsync is everysec: set `appendfsync"),
        ((*ALL_KEPT, "--maxmemory-policy", "allkeys-lru"), "may evict the log"),
        ((*ALL_KEPT, "--rename-command", "CONFIG", ""), "this user may not read its conf"),
    ],
)
def test_a_server_that_may_lose_changes_is_refused_unless_allowed(
    tmp_path: Path, options: tuple[str, ...], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server(tmp_path, options) as server:
        with pytest.raises(JournalError, match=words) as refused:
            RedisLog(RedisLogOptions(server.url), BUNDLE, tmp_path / "data")
        assert "--log-allow-loss" in str(refused.value)
        assert "\n" not in str(refused.value)
        allowed = RedisLogOptions(server.url, allow_loss=True)
        with caplog.at_level(logging.WARNING), closing(RedisLog(allowed, BUNDLE, tmp_path)) as log:
            assert words in caplog.text
            log.append(records(1))


@pytest.mark.usefixtures("impatient")
def test_waiting_for_disk_or_replicas_needs_them(redis: RedisServer, tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"7\.2 or Valkey: .* has no WAITAOF"):
        RedisLog(RedisLogOptions(redis.url, wait_disk=True), BUNDLE, tmp_path)


def test_a_change_that_no_replica_has_is_not_acknowledged(
    redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WAITING, 1)
    options = RedisLogOptions(redis.url, wait_replicas=1)
    with closing(RedisLog(options, BUNDLE, tmp_path)) as log:
        redis.client.script_flush()  # as after a restart
        redis.client.config_resetstat()
        with pytest.raises(LogUnsureError, match="not as safely as required"):
            log.append(records(1))
        statistics: Any = redis.client.info("commandstats")
        assert statistics["cmdstat_wait"]["calls"] == 1  # and not a second one for a sent script
        assert log.read(0) == records(1)


def test_a_change_is_acknowledged_once_the_disk_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = RedisLogOptions("", wait_disk=True)
    with redis_server(tmp_path, KEPT_LATER, VALKEY) as server:
        options = replace(options, url=server.url)
        with closing(RedisLog(options, BUNDLE, tmp_path / "one")) as log:
            log.append(records(2))
            statistics: Any = server.client.info("commandstats")
            assert statistics["cmdstat_waitaof"]["calls"] >= 2  # at the start, and for the change
            server.kill()
            server.start()
            assert log.read(0) == records(2)
        monkeypatch.setattr(WAITING, 1)
        options = replace(options, wait_replicas=1)
        with closing(RedisLog(options, BUNDLE, tmp_path / "two")) as log:
            log.read(0)
            with pytest.raises(LogUnsureError, match="not as safely as required: not within"):
                log.append(records(1, first=3))
            assert log.read(0) == records(3)
            # what the server took, and then would not wait for, is not said to be lost
            server.client.config_set("appendonly", "no")
            with pytest.raises(LogUnsureError, match="not as safely as required: WAITAOF can"):
                log.append(records(1, first=4))
            assert log.read(0) == records(4)
        with pytest.raises(JournalError, match=r"--log-wait-disk: .* set `appendonly yes` there"):
            RedisLog(replace(options, allow_loss=True), BUNDLE, tmp_path / "three")


def test_a_change_that_a_replica_of_redis_has_is_acknowledged(
    redis: RedisServer, tmp_path: Path
) -> None:
    copying = (*NOTHING_KEPT, "--replicaof", "127.0.0.1", str(redis.port))
    with redis_server(tmp_path, copying) as copy:
        info: Any = {}
        while info.get("master_link_status") != "up":
            info = copy.client.info("replication")
        options = RedisLogOptions(redis.url, wait_replicas=1)
        with closing(RedisLog(options, BUNDLE, tmp_path / "data")) as log:
            log.append(records(2))
            assert copy.client.xlen(log.records_key) == 2


def copies(redis: RedisServer) -> dict[Any, Any]:
    """All that a server holds, as a backup would."""
    return {key: redis.client.dump(key) for key in redis.client.scan_iter()}


def put_back(redis: RedisServer, copied: dict[Any, Any]) -> None:
    redis.client.flushall()
    for key, value in copied.items():
        redis.client.restore(key, 0, value, replace=True)  # who follows may write it meanwhile


@redis_and_valkey
def test_acknowledged_records_that_redis_lost_are_noticed(redis: RedisServer, hold: Open) -> None:
    log = hold("one")
    log.append(records(3))
    early = copies(redis)
    log.append(records(2, first=4))
    log.truncate(5, "snapshot-5", keys_of(log))
    put_back(redis, early)
    other = hold("other")
    refusals: list[Callable[[], object]]
    refusals = [lambda: log.read(5), lambda: log.append(records(1, first=6))]
    for refused in refusals:
        with pytest.raises(JournalDamagedError, match="ends with record 3, but 5 are applied"):
            refused()
    with pytest.raises(JournalDamagedError, match="ends with record 3, but 5 are applied"):
        hold("one")
    other.read(0)
    other.append([Record(4, None, b"other"), Record(5, None, b"other")])
    refusals = [lambda: log.read(5), lambda: log.push(records(1))]
    for refused in refusals:
        with pytest.raises(JournalDamagedError, match="other records up to 5 than"):
            refused()
    other.append(records(1, first=6))
    with pytest.raises(JournalDamagedError, match="other records up to 5 than"):
        log.push(records(1))
    with pytest.raises(JournalDamagedError, match="damaged after record 5"):
        log.read(5)
    assert len(found(other)) == 6


def test_who_starts_again_knows_what_redis_lost_meanwhile(
    redis: RedisServer, hold: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = hold("one")
    log.append(records(3))
    early = copies(redis)
    log.append(records(2, first=4))  # whose process may be killed from now on
    put_back(redis, early)
    with pytest.raises(
        JournalDamagedError, match=r"with record 3, but 5 were .*\.reached to continue"
    ):
        hold("one")
    hold("other").read(0)
    hold("other").append([Record(number, None, b"other") for number in (4, 5, 6)])
    with pytest.raises(JournalDamagedError, match="other records up to 5, but 5 were applied"):
        hold("one")
    with closing(RedisLog(RedisLogOptions(redis.url, allow_loss=True), log.graph, log.folder.data)):
        assert "Redis has lost acknowledged changes" in caplog.text
    again = hold("one")  # it was told once, and is known
    assert len(again.read(0)) == 6
    again.close()
    assert len(hold("one").read(0)) == 6


def test_the_mark_of_what_was_read_is_the_farthest_of_a_folder(
    redis: RedisServer, hold: Open, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = hold("shared"), hold("shared")
    one.append(records(2))
    one.wait(0)
    other.close()  # which has read nothing
    mark = one.folder.reached.read()
    assert mark is not None
    assert mark.number == 2
    one.folder.reached.path.unlink()
    one.folder.reached.path.mkdir()  # it cannot be written
    one.append(records(1, first=3))
    one.wait(0)
    one.wait(0)
    assert caplog.text.count("would not notice if Redis loses") == 1
    one.folder.reached.path.rmdir()
    one.folder.reached.path.write_text("{")
    with pytest.raises(JournalDamagedError, match="reached is damaged"):
        hold("shared")


def test_a_log_that_is_gone_is_not_begun_anew(redis: RedisServer, hold: Open) -> None:
    log = hold("one")
    log.append(records(3))
    redis.client.flushall()
    refusals: list[Callable[[], object]] = [
        lambda: log.read(3),
        lambda: log.append(records(1, first=4)),
        lambda: log.push(records(1)),
        lambda: hold("one"),
    ]
    for refused in refusals:
        with pytest.raises(JournalDamagedError, match="is missing or was replaced"):
            refused()
    assert found(hold("two")) == []
    with pytest.raises(JournalDamagedError, match="is missing or was replaced"):
        log.push(records(1))
    with pytest.raises(JournalForeignError, match="a separate data folder"):
        hold("one")


@pytest.mark.parametrize("change", ["payload", "key", "kind", "missing"])
def test_a_changed_record_is_noticed(redis: RedisServer, hold: Open, change: str) -> None:
    log = hold()
    log.append(records(3))
    client: Any = redis.client
    ((entry, fields),) = client.xrange(log.records_key, "2-0", "2-0")
    client.xdel(log.records_key, entry)
    if change != "missing":
        last = client.xrange(log.records_key, "3-0", "3-0")[0][1]
        client.delete(log.records_key)
        values = {"payload": b"y", "key": b"other", "kind": b"3"}
        second = {**fields, change.encode(): values[change]}
        whole = {"1-0": entry_one(log), "2-0": second, "3-0": last}
        for number, content in whole.items():
            client.xadd(log.records_key, content, id=number)
    with pytest.raises(JournalDamagedError, match="damaged after record 1"):
        hold().read(0)


def entry_one(log: RedisLog) -> dict[bytes, bytes]:
    """The first of `records` as it stands in the stream."""
    kind, key, payload, digest = arguments_of(records(1)[0])
    link = next_link(log.base.birth, 1, str(digest))
    parts = {"kind": kind, "key": key, "payload": payload, "digest": digest, "link": link}
    return {
        name.encode(): value if isinstance(value, bytes) else str(value).encode()
        for name, value in parts.items()
    }


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"", JournalDamagedError, "is damaged"),
        (b'{"graph": 7}', JournalDamagedError, "is damaged"),
        (b'{"graph":"a","birth":"b","link":"c","format":9}', JournalForeignError, "format 9"),
        (b'{"graph":"a","birth":"b","link":"c","snapshot":"../x"}', JournalDamagedError, "damaged"),
    ],
)
def test_what_the_folder_says_is_checked(
    hold: Open, tmp_path: Path, content: bytes, kind: type[JournalError], words: str
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / BASE_FILE).write_bytes(content)
    with pytest.raises(kind, match=words):
        hold("one")
    assert (tmp_path / "one" / BASE_FILE).read_bytes() == content


def test_long_logs_are_read_in_parts(hold: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_RECORDS", 4)
    log = hold()
    log.append(records(8))
    assert hold().read(0) == records(8)
    log.append(records(1, first=9))
    assert hold().read(0) == records(9)


@pytest.mark.parametrize("url", ["http://host", "redis://host:port"])
def test_no_url_of_a_redis(tmp_path: Path, url: str) -> None:
    with pytest.raises(JournalError, match="not the URL of a Redis"):
        RedisLog(RedisLogOptions(url), BUNDLE, tmp_path)
