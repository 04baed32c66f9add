"""Open-loop requests that start at set times; how loads are parsed and reported."""

import asyncio
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.common.results import write_results
from benchmarks.errors import BenchmarkError
from benchmarks.load.driving import answered
from benchmarks.load.offered import Offered, check_mixes, parse_mix, parse_rates, planned
from benchmarks.load.report import LoadResults, report
from benchmarks.scale import parse_sizes
from benchmarks.serving.open_loop import (
    Arrival,
    Tally,
    arrivals_of,
    open_loop,
    poisson_times,
    steady_times,
)
from benchmarks.serving.questions import Questions
from benchmarks.serving.raw_client import RawClient
from tests.student_bundles import hub_graph
from understudy.cli import main

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
REFUSED = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n"
CLOSING = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


async def drive(arrivals: list[Arrival], held: int) -> dict[str, Tally]:
    """A server that answers nobody until `held` requests have come, and refuses `/no`."""
    come = asyncio.Event()
    count = 0
    answering: list[asyncio.Task[None] | None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        answering.append(asyncio.current_task())
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                count += 1
                if count >= held:
                    come.set()
                await come.wait()
                writer.write(REFUSED if b"/no" in head else OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        client = RawClient(*server.sockets[0].getsockname()[:2])
        tallies, _ = await open_loop(client, arrivals)
        client.close()
        await asyncio.gather(*(task for task in answering if task is not None))
    return tallies


def test_requests_go_out_although_no_answer_came_and_their_wait_counts() -> None:
    yes, no = b"POST /yes HTTP/1.1\r\n\r\n", b"POST /no HTTP/1.1\r\n\r\n"
    arrivals = [Arrival(0.0, yes, "a"), Arrival(0.02, no, "b"), Arrival(0.04, yes, "a")]
    tallies = asyncio.run(drive(arrivals, held=3))  # a client that waits would wait for ever
    assert tallies["a"].statuses == {200: 2}
    assert tallies["b"].statuses == {429: 1}
    assert tallies["b"].seconds == []
    assert max(tallies["a"].seconds) >= 0.04  # from its own start to the last one's


def test_a_request_that_goes_out_late_is_timed_from_when_it_was_to_start() -> None:
    arrival = Arrival(-0.5, b"POST /yes HTTP/1.1\r\n\r\n")  # half a second ago
    tallies = asyncio.run(drive([arrival], held=1))
    assert tallies[""].seconds[0] >= 0.5


def test_a_failure_is_told_by_its_kind_and_no_closed_connection_is_kept() -> None:
    paths: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        paths.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
        if paths[-1] == b"/closing":
            writer.write(CLOSING)
        writer.close()
        await writer.wait_closed()

    async def ask() -> dict[str, Tally]:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            client = RawClient(*server.sockets[0].getsockname()[:2])
            asked = [(0.0, "closing"), (0.05, "closing"), (0.1, "silent")]
            arrivals = [Arrival(at, b"GET /%s HTTP/1.1\r\n\r\n" % p.encode(), p) for at, p in asked]
            tallies, _ = await open_loop(client, arrivals)
            assert client.idle == []
        return tallies

    tallies = asyncio.run(ask())
    assert sorted(paths) == [
        b"/closing",
        b"/closing",
        b"/silent",
    ]  # none went over a closed connection
    assert tallies["closing"].statuses == {503: 2}
    assert tallies["silent"].broken == {"closed without an answer": 1}


def test_arrivals_are_a_poisson_process_of_the_rate() -> None:
    times = poisson_times(200.0, 50.0, seed=0)
    assert times == sorted(times) == poisson_times(200.0, 50.0, seed=0)
    assert times[0] >= 0
    assert times[-1] < 50
    gaps = np.diff(times)
    assert np.mean(gaps) == pytest.approx(1 / 200, rel=0.05)
    assert np.std(gaps) == pytest.approx(np.mean(gaps), rel=0.05)  # exponential
    assert steady_times(4.0, 3) == [0.0, 0.25, 0.5]
    assert [a.at for a in arrivals_of([0.0, 1.0], [b"a", b"b"])] == [0.0, 1.0]


def test_a_mix_is_drawn_by_its_shares() -> None:
    questions = Questions(hub_graph(60))
    mix = "stored=80, unseen=15,changes=5"
    shares = parse_mix(mix)
    assert shares == {"stored": 0.8, "unseen": 0.15, "changes": 0.05}
    arrivals = planned(questions, Offered(mix, rate=100.0, seconds=5.0), seed=1)
    assert {arrival.sort for arrival in arrivals} == set(shares)
    paths = {arrival.sort: arrival.request.split()[1] for arrival in arrivals}
    assert paths == {"stored": b"/classify", "unseen": b"/classify", "changes": b"/mutations"}
    changes = [arrival.request for arrival in arrivals if arrival.sort == "changes"]
    assert len(set(changes)) == len(changes) > 5  # no edge is added twice


def test_requests_say_by_when_they_want_their_answers_where_they_are_to() -> None:
    questions, mix = Questions(hub_graph(60)), "stored=50,unseen=25,changes=25"
    for wish, line in ((None, None), (0.05, b"x-timeout-seconds: 0.05\r\n")):
        for arrival in planned(questions, Offered(mix, 100.0, 1.0, wish), 1):
            head, _, body = arrival.request.partition(b"\r\n\r\n")
            assert (b"x-timeout-seconds" in head) == (line is not None)
            assert line is None or line in head
            assert f"content-length: {len(body)}".encode() in head


@pytest.mark.parametrize(
    "text",
    ["stored", "stored=0", "stored=1,others=2", "", "stored=x", "stored=nan", "stored=5,stored=7"],
)
def test_a_mix_that_is_none_is_told(text: str) -> None:
    with pytest.raises(BenchmarkError, match="--mix takes shares above 0 of stored, unseen"):
        parse_mix(text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("overload", "--seconds", "-1"), "-1.0 is not in the range x>=4"),
        (("overload", "--seconds", "nan"), "'--seconds': nan is not a finite number"),
        (("overload", "--queue-tokens", "0"), "0 is not in the range x>=1"),
        (("http", "--rounds", "0"), "0 is not in the range x>=1"),
        (("load", "--seconds", "inf"), "'--seconds': inf is not a finite number"),
        (("load", "--deadline", "nan"), "'--deadline': nan is not a finite number"),
    ],
)
def test_times_that_are_none_are_refused_before_anything_is_measured(
    words: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *options = words
    with pytest.raises(SystemExit):
        main(["bench", command, str(tmp_path), *options])
    assert message in capsys.readouterr().err


def test_rates_and_sizes_that_are_none_are_told() -> None:
    assert parse_rates("10,2.5") == [10.0, 2.5]
    for text in ("10,fast", "0", "", "10,nan", "inf"):
        with pytest.raises(BenchmarkError, match="--rates takes numbers above 0"):
            parse_rates(text)
    assert parse_sizes("100,2000") == [100, 2000]
    with pytest.raises(BenchmarkError, match="--sizes takes numbers of 100 or more"):
        parse_sizes("5")


def test_more_requests_than_memory_holds_are_refused_before_any_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--rates", "10,1e9", "--seconds", "5"]
    with pytest.raises(SystemExit, match="1"):
        main(["bench", "load", str(tmp_path), *options])
    message = "--rates 1e+09 for --seconds 5 are 5,000,000,000 requests, of at most 2,000,000"
    assert message in capsys.readouterr().err


def test_results_tell_where_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.common.results.RESULTS", tmp_path / "results")
    write_results("load", {"loads": []}, "| a |\n")
    assert f"{tmp_path / 'results' / 'load'}.md and .json" in capsys.readouterr().err
    assert (tmp_path / "results" / "load.md").read_text().startswith("| a |")


def test_goodput_counts_successes_within_the_deadline() -> None:
    reset = Counter({"connection reset by peer": 1})
    tally = Tally(Counter({200: 3, 429: 2, 503: 1, 504: 2}), [0.01, 0.04, 0.2], reset)
    found = answered(tally, deadline=0.05)
    assert (found.requests, found.in_time, found.refused, found.failed) == (9, 2, 3, 3)
    assert found.failures == {"status 504": 2, "connection reset by peer": 1}
    assert found.p50 == 40.0
    nothing = answered(Tally(Counter({429: 1})), deadline=0.05)
    assert (nothing.requests, nothing.in_time) == (1, 0)
    counts = {"requests": 10, "in_time": 5, "refused": 3, "failed": 1}
    row = {"p50": 1.0, "p99": 2.0, **counts, "failures": {"status 504": 1}}
    step = {"mix": "stored=100", "rate": 100.0, "goodput_per_second": 50.0, "server_busy": 0.5}
    loads = [{**step, "client_busy": 0.1, "all": row, "sorts": {"stored": row}}]
    whole = {"graph": "kites", "seconds": 10.0, "deadline_ms": 50.0, "loads": loads}
    text = report(msgspec.convert(whole, LoadResults))
    figures = "10 | 1.00 | 2.00 | 50.0% | 3 | 1 (status 504: 1) | 50.0 | 50% | 10%"
    assert f"| stored=100 | 100 | all | {figures} |" in text


def test_a_mix_that_asks_a_teacher_needs_one(tmp_path: Path) -> None:
    mix = "stored=50,teacher=50"
    with pytest.raises(BenchmarkError, match=f"--mix {mix} asks a teacher; name its folder"):
        check_mixes([mix], None)
    check_mixes([mix], tmp_path)
    arrivals = planned(Questions(hub_graph(60)), Offered(mix, 200, 1.0), seed=0)
    by_teacher = [b'"route":"teacher"' in arrival.request for arrival in arrivals]
    assert by_teacher == [arrival.sort == "teacher" for arrival in arrivals]
    assert 0 < sum(by_teacher) < len(arrivals)
