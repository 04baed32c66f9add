"""Which records Redis deletes, and which it keeps for processes that need them."""

from typing import Any

import pytest

from tests.redis_server import RedisServer
from tests.unit.graph.log.logs import Open, found, keys_of, records, redis_and_valkey
from understudy.graph.errors import JournalError
from understudy.graph.log.streams import log as streams_log
from understudy.graph.log.streams.scripts import APPEND


@redis_and_valkey
def test_records_that_a_living_process_may_need_are_kept(redis: RedisServer, hold: Open) -> None:
    one, other = hold("one"), hold("other")
    one.append(records(8))
    other.read(0)
    other.applied(8)
    one.truncate(6, "snapshot-6", keys_of(one))
    assert (one.start, other.start) == (6, 0)
    assert redis.client.xlen(one.records_key) == 8  # the other one would start from nothing
    other.truncate(4, "snapshot-4", keys_of(other))
    assert redis.client.xlen(one.records_key) == 4
    other.close()
    one.truncate(8, "snapshot-8", keys_of(one))
    assert redis.client.xlen(one.records_key) == 0
    one.append(records(1, first=9))
    with pytest.raises(JournalError, match=r"begins after record 8, .* copy redis-log\.json"):
        hold("other")
    again = hold("one")
    assert (again.start, again.snapshot) == (8, "snapshot-8")
    assert again.keys().find("key-3") is not None
    assert found(again) == records(1, first=9)


@redis_and_valkey
def test_who_follows_a_log_that_is_gone_keeps_none_of_the_next_one_s_records(
    redis: RedisServer, hold: Open
) -> None:
    gone = hold("gone")
    gone.append(records(2))
    assert gone.news is not None
    client: Any = redis.client
    client.flushall()
    one = hold("one")
    one.append(records(8))
    for _ in range(2):  # started again and again
        with pytest.raises(JournalError, match="does not belong to the log in Redis"):
            hold("gone")
    gone.news.stored = 100
    gone.news.beaten = float("-inf")
    gone.news.beat(client)
    assert client.hkeys(one.followers_key) == [one.process.encode()]
    one.truncate(8, "snapshot-8", keys_of(one))
    assert client.xlen(one.records_key) == 0


@pytest.mark.parametrize("minutes", [-60, 60])
def test_a_leap_of_the_server_s_clock_costs_no_records(
    redis: RedisServer, hold: Open, minutes: int
) -> None:
    one, other = hold("one"), hold("other")
    one.append(records(8))
    for log in (one, other):  # else one may be heard of after the leap
        assert log.news is not None
        log.news.close()
        log.news.thread.join()
    client: Any = redis.client
    client.hset(one.followers_key, "gone", "3 1")  # since the beginning of time
    for process in (one.process, other.process):
        needed, seen = client.hget(one.followers_key, process).split()
        leapt = int(seen) - minutes * 60_000
        client.hset(one.followers_key, process, f"{int(needed)} {leapt}")
    one.truncate(6, "snapshot-6", keys_of(one))
    assert found(other) == records(8)
    assert client.hexists(one.followers_key, other.process)
    assert client.hexists(one.followers_key, "gone") is (minutes < 0)


@redis_and_valkey
def test_a_full_redis_is_read_and_trimmed(redis: RedisServer, hold: Open) -> None:
    one, other = hold("one"), hold("other")
    one.append(records(20, size=2_000))
    client: Any = redis.client
    client.config_set("maxmemory", 1)  # it is always over
    try:
        with pytest.raises(JournalError, match="is full and the change was not kept; raise"):
            one.append(records(1, first=21))
        assert len(other.read(0)) == 20
        other.applied(20)
        other.close()
        one.truncate(20, "snapshot-20", keys_of(one))
        assert client.xlen(one.records_key) == 0
    finally:
        client.config_set("maxmemory", 0)
    one.append(records(1, first=21))
    assert one.read(20) == records(1, first=21)


def test_some_records_are_kept_for_those_who_come_late(redis: RedisServer, hold: Open) -> None:
    one = hold(kept=3)
    one.append(records(8))
    one.truncate(6, "snapshot-6", keys_of(one))
    assert redis.client.xlen(one.records_key) == 5
    with pytest.raises(JournalError, match="begins after record 3"):
        hold()


@redis_and_valkey
@pytest.mark.parametrize(("room", "kept"), [(0, 0), (1_500, 1), (2_999, 2), (2**20, 6)])
def test_those_that_are_kept_have_no_more_bytes_than_they_may(
    redis: RedisServer, hold: Open, room: int, kept: int
) -> None:
    one = hold(kept=6, room=room)
    one.append(records(8, size=1_000))
    one.truncate(6, "snapshot-6", keys_of(one))
    assert redis.client.xlen(one.records_key) == 2 + kept
    one.append(records(2, first=9, size=100))
    one.truncate(10, "snapshot-10", keys_of(one))
    assert redis.client.xlen(one.records_key) == {0: 0, 1: 3, 2: 4, 6: 6}[kept]


def test_records_of_a_release_that_did_not_count_bytes_are_kept_by_number(
    redis: RedisServer, hold: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = hold(kept=6, room=1_500)
    older = APPEND.replace("'bytes', string.format('%d', bytes))", "'links', chain)")
    with monkeypatch.context() as patch:
        patch.setattr(streams_log, "APPEND", older)
        one.append(records(8, size=1_000))
    one.truncate(7, "snapshot-7", keys_of(one))
    assert redis.client.xlen(one.records_key) == 7
    one.append(records(3, first=9, size=1_000))
    assert found(one) == [*records(8, size=1_000)[7:], *records(3, first=9, size=1_000)]
    one.truncate(11, "snapshot-11", keys_of(one))
    assert redis.client.xlen(one.records_key) == 1
