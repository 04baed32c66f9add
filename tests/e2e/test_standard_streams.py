"""A service whose stdout or stderr is closed or accepts nothing."""

import fcntl
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.bundles import TinyBundle
from tests.e2e.conftest import STOP_SECONDS, command, environment

URL = re.compile(r"http://127\.0\.0\.1:\d+")
FULL, CLOSED, SILENT = ">/dev/full", ">&-", "2>&-"


@contextmanager
def served(
    bundle: TinyBundle, workers: int, how: str = "", *flags: str
) -> Iterator[subprocess.Popen[str]]:
    """A service as a shell starts it whose outputs it leads elsewhere."""
    arguments = command(bundle.folder, "--port", "0", "--workers", str(workers), *flags)
    process = subprocess.Popen(
        ["sh", "-c", f'exec "$@" {how}', "sh", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=STOP_SECONDS)
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def events_until_all_serve(process: "subprocess.Popen[str]", workers: int) -> list[dict[str, Any]]:
    """What the log says until every worker serves, and the supervisor has said so."""
    assert process.stderr is not None
    events: list[dict[str, Any]] = []
    serving = 0
    while serving < workers:
        events.append(json.loads(process.stderr.readline()))
        serving += events[-1]["message"] == "serving"
    return events


def url_in(text: str) -> str:
    found = URL.search(text)
    assert found is not None
    return found[0]


def is_served(url: str) -> bool:
    return httpx.get(f"{url}/health/ready", timeout=STOP_SECONDS).status_code == 200


@pytest.mark.parametrize(("how", "workers"), [(FULL, 1), (CLOSED, 2)])
def test_it_serves_and_ends_where_stdout_takes_nothing(
    tiny_bundle: TinyBundle, how: str, workers: int
) -> None:
    with served(tiny_bundle, workers, how) as process:
        events = events_until_all_serve(process, workers)
        url = events[-1]["url"]
        assert is_served(url)
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=STOP_SECONDS)[1].splitlines()
        assert process.returncode == 0
    events += [json.loads(line) for line in rest]
    assert [event for event in events if "exception" in event] == []
    logged = [event["message"] for event in events if "stdout" in event["message"]]
    start = f"stdout cannot be written (No space left on device): listening on {url}"
    assert [line.startswith(start) for line in logged] == ([True] if how == FULL else [])


def test_it_serves_where_nobody_reads_what_it_says(tiny_bundle: TinyBundle) -> None:
    with served(tiny_bundle, 1) as process:
        assert process.stdout is not None
        process.stdout.close()
        events = events_until_all_serve(process, 1)
        assert "stdout cannot be written (Broken pipe)" in events[-2]["message"]
        assert is_served(url_in(events[-2]["message"]))


def test_it_serves_without_stderr(tiny_bundle: TinyBundle) -> None:
    with served(tiny_bundle, 2, SILENT) as process:
        assert process.stdout is not None
        assert is_served(url_in(process.stdout.readline()))


@pytest.mark.parametrize("workers", [1, 2])
def test_it_answers_and_ends_where_nobody_reads_its_log(
    tiny_bundle: TinyBundle, workers: int
) -> None:
    with served(tiny_bundle, workers, "", "--log-requests") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        room = fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 4_096)
        url = url_in(process.stdout.readline())
        with httpx.Client(base_url=url, timeout=STOP_SECONDS) as client:
            for _ in range(room // 50):  # no line is that short
                assert client.get("/health/ready").status_code == 200
            process.send_signal(signal.SIGHUP)
            while 'reloads_total{outcome="done"}' not in client.get("/metrics").text:
                pass
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=STOP_SECONDS) == 0
        unread = process.stderr.read()
    assert "answered" in unread


def test_its_log_ends_with_why_it_ends(tiny_bundle: TinyBundle) -> None:
    """Reads the log late: what waits is written before the command line tells the error."""
    with served(tiny_bundle, 2, "", "--keys-file", "/nowhere/keys.json") as process:
        assert process.stderr is not None
        assert "/nowhere/keys.json" in process.stderr.read().splitlines()[-1]
