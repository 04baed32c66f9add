"""Connections: heads, bodies, upgrades, pipelines, and clients that do not read."""

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from service.http.connections import REFUSED_CONNECTIONS
from tests.bundles import TinyBundle
from tests.e2e.conftest import (
    POST_CLASSIFY,
    STOP_SECONDS,
    Service,
    answers,
    command,
    environment,
    received,
    serving,
)

BODY = b'{"nodes": [{"id": "node-1"}]}'
REQUEST = POST_CLASSIFY + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
LAST = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
REFUSED, ANSWERED = "understudy_rejections_total", "understudy_requests_total"
OFFERS = {
    "h2c": b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAA\r\n",
    "websocket": b"connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n",
    "upper case": b"CONNECTION: keep-alive,UPGRADE\r\nUPGRADE: foo/2\r\n",
}


@pytest.fixture(scope="module")
def quick(tiny_bundle: TinyBundle) -> Iterator[Service]:
    """A service that waits for nobody for long."""
    flags = ("--receive-seconds", "0.5", "--keep-alive-seconds", "0.5", "--send-seconds", "0.5")
    with serving(tiny_bundle.folder, *flags) as running:
        yield running


def exchange(service: Service, *pieces: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Sends the pieces, one segment each; returns all answers until the server closes."""
    with service.raw_connection() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
        return answers(received(connection))


def refusal(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    """Status and code of an answer that is an error body, with an id, and ends the connection."""
    status, headers, body = answer
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"
    assert headers["x-request-id"]
    return status, json.loads(body)["error"]["code"]


def resident_bytes(service: Service) -> int:
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return 1_024 * int(found[1])


@pytest.mark.parametrize(
    ("start", "endless", "expected"),
    [
        (b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n", b"h: v\r\n", (431, "head_too_large")),
        (b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nh: ", b"v", (431, "head_too_large")),
        (b"GET /health/live HTTP/1.1\r\n", b"h", (431, "head_too_large")),
        (b"GET /nodes/", b"a", (414, "target_too_long")),
        (b"", b"A", (400, "malformed_http")),
    ],
)
def test_an_endless_head_is_refused_early(
    service: Service, start: bytes, endless: bytes, expected: tuple[int, str]
) -> None:
    before = resident_bytes(service)
    pieces = [start, *[endless * (2**20 // len(endless))] * 64]
    (answer,) = exchange(service, *pieces)
    assert refusal(answer) == expected
    assert resident_bytes(service) - before < 8 * 2**20


def test_a_head_has_its_limit_whole_or_in_pieces(service: Service) -> None:
    def sized(count: int) -> bytes:
        return LAST[:-2] + b"x: " + b"y" * count + b"\r\n\r\n"

    for cut in (None, 30_000):
        for count, status in ((65_000, 200), (65_536, 431)):
            head = sized(count)
            pieces = [head] if cut is None else [head[:cut], head[cut:]]
            assert [answer[0] for answer in exchange(service, *pieces)] == [status]


def test_many_tiny_headers_are_refused(service: Service) -> None:
    (answer,) = exchange(service, LAST[:-2] + b"h:\r\n" * 300 + b"\r\n")
    assert refusal(answer) == (431, "head_too_large")


def test_a_long_target_is_refused_and_one_that_fits_is_read(service: Service) -> None:
    def get(length: int) -> bytes:
        return LAST.replace(b"/health/live", b"/nodes/" + b"a" * length)

    assert [a[0] for a in exchange(service, get(60_000))] == [404]
    (answer,) = exchange(service, get(65_530))
    assert refusal(answer) == (414, "target_too_long")


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("chunked", [False, True])
def test_an_offered_upgrade_is_ignored_and_the_body_is_its_requests(
    service: Service, offer: str, chunked: bool
) -> None:
    """A body that looks like a request is not one, in whatever segments it comes."""
    hidden = b"DELETE /nodes/node-2 HTTP/1.1\r\nhost: localhost\r\n\r\n"
    for body, status in ((BODY, 200), (hidden, 400)):
        framing, framed = b"content-length: %d\r\n\r\n" % len(body), body
        if chunked:
            framing = b"transfer-encoding: chunked\r\n\r\n"
            framed = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        head = POST_CLASSIFY + OFFERS[offer] + framing
        for pieces in (
            [head, framed, LAST],
            [head + framed + LAST],
            [head[:40], head[40:], framed],
        ):
            if pieces[-1] != LAST and len(pieces) == 3:
                pieces.append(LAST)
            found = [answer[0] for answer in exchange(service, *pieces)]
            assert found == [status, 200]
    assert service.client.get("/nodes/node-2").status_code == 200


def test_an_upgrade_without_a_body_is_a_plain_request(service: Service) -> None:
    head = LAST.replace(b"connection: close\r\n", OFFERS["websocket"])
    found = exchange(service, head + LAST)
    assert [answer[0] for answer in found] == [200, 200]


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET ftp://localhost/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET http://a@localhost/info HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"DELETE /nodes/node-3#part HTTP/1.1\r\nhost: localhost\r\n\r\n",  # which is not node-3
        b"GET http://localhost/search?q=http#part HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /info HTTP/1.1\r\nhost localhost\r\n\r\n",
        b"GET /info HTTP/1.1\r\nhost : localhost\r\n\r\n",
        POST_CLASSIFY + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        POST_CLASSIFY + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
        POST_CLASSIFY + b"content-length: -1\r\n\r\n",
        POST_CLASSIFY + b"transfer-encoding: chunked\r\n\r\nxyz\r\n",
        POST_CLASSIFY + b"transfer-encoding: chunked\r\n\r\n1;" + b"a" * 2**20,
        POST_CLASSIFY + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nt: " + b"a" * 2**20,
    ],
)
def test_what_is_no_request_is_refused_in_the_common_body(service: Service, sent: bytes) -> None:
    answer, *others = exchange(service, sent)
    assert refusal(answer) == (400, "malformed_http")
    assert others == []


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"host: localhost\r\nhost: localhost\r\n",
        b"host: localhost\r\norigin: a\r\norigin: b\r\n",
    ],
)
def test_a_host_is_named_once(service: Service, headers: bytes) -> None:
    (answer,) = exchange(
        service, b"GET /info HTTP/1.1\r\n" + headers + b"connection: close\r\n\r\n"
    )
    assert refusal(answer) == (400, "malformed_http")


def test_trailers_are_no_headers(service: Service) -> None:
    chunked = b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)
    trailers = b"x-request-id: trailing\r\nhost: evil.example\r\n\r\n"
    # The second is read while the first is answered: its trailers are there before it begins.
    found = exchange(service, (POST_CLASSIFY + chunked + trailers) * 2 + LAST)
    assert [answer[0] for answer in found] == [200, 200, 200]
    assert not any(answer[1]["x-request-id"] == "trailing" for answer in found)


def test_an_error_waits_for_its_turn_among_pipelined_requests(service: Service) -> None:
    unseen = json.dumps({"nodes": [{"text": "http socket"}]}).encode()
    first = POST_CLASSIFY + b"content-length: %d\r\n\r\n" % len(unseen) + unseen
    found = exchange(service, first + REQUEST + b"nonsense\r\n\r\n")
    assert [answer[0] for answer in found] == [200, 200, 400]
    assert b'"text"' not in found[0][2]
    assert refusal(found[2]) == (400, "malformed_http")


def test_pipelined_requests_are_bounded(service: Service) -> None:
    before = resident_bytes(service)
    found = exchange(service, *[REQUEST * 10_000] * 4)
    *good, last = found
    assert {answer[0] for answer in good} == {200}
    assert 100 <= len(good) <= 200
    assert refusal(last) == (429, "overloaded")
    assert resident_bytes(service) - before < 32 * 2**20


def test_a_refused_body_is_answered_once(quick: Service) -> None:
    """What is left of it is waited for, but not answered again."""
    head = b"POST /classify HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\n"
    found = exchange(quick, head + b"content-length: 100\r\n\r\n{")
    assert [answer[0] for answer in found] == [415]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", []),
        (b"\r\n", []),
        (b"\r\n\r\n\r\n", []),
        (REQUEST, [200]),
        (REQUEST + b"\r\n", [200]),
        (REQUEST + b"\r\n\r\n", [200]),
        (REQUEST + b"GET", [200, 408]),
        (b"G", [408]),
        (REQUEST[:-1], [408]),
    ],
)
def test_a_connection_is_not_kept_for_nothing(
    quick: Service, sent: bytes, expected: list[int]
) -> None:
    found = exchange(quick, sent)
    assert [answer[0] for answer in found] == expected
    if expected and expected[-1] == 408:
        assert refusal(found[-1]) == (408, "slow_body")


def test_empty_lines_buy_no_time(quick: Service) -> None:
    with quick.raw_connection() as connection:
        connection.settimeout(0.05)
        with suppress(ConnectionError):
            for _ in range(400):
                connection.sendall(b"\r\n")
                with suppress(TimeoutError):
                    assert connection.recv(1) == b""
                    return
            pytest.fail("the connection is still open")


def test_each_request_of_a_connection_has_its_own_time(quick: Service) -> None:
    """A client that goes on for longer than one request may take is not cut off."""
    with quick.raw_connection() as connection:
        connection.sendall(REQUEST[:10])
        started = time.monotonic()
        while time.monotonic() - started < 1.5:
            connection.sendall(REQUEST[10:] + REQUEST[:10])
            assert answers(one_answer(connection))[0][0] == 200


def one_answer(connection: socket.socket) -> bytes:
    stream = b""
    while b"\r\n\r\n" not in stream or not stream.endswith(b"}"):
        piece = connection.recv(65_536)
        assert piece, "the connection was closed"
        stream += piece
    return stream


def test_who_does_not_read_is_let_go(quick: Service) -> None:
    """Answers that nobody takes are thrown away, and what they took is free again."""
    nodes = [{"id": f"node-{n % 40}"} for n in range(1_000)]
    body = json.dumps({"nodes": nodes, "top_k": 3}).encode()
    request = POST_CLASSIFY + b"content-length: %d\r\n\r\n" % len(body) + body
    with quick.raw_connection() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        with suppress(ConnectionError, TimeoutError):
            connection.settimeout(0.2)
            for _ in range(60):
                connection.sendall(request)
        wait_for_connections(quick, 1)


def wait_for_connections(service: Service, count: int) -> None:
    deadline = time.monotonic() + 15
    while f"understudy_open_connections {count}.0" not in service.client.get("/metrics").text:
        assert time.monotonic() < deadline


def test_connections_are_bounded(tiny_bundle: TinyBundle) -> None:
    flags = ("--max-connections", "10", "--keep-alive-seconds", "1", "--receive-seconds", "2")
    with serving(tiny_bundle.folder, *flags) as service:
        idle = [service.raw_connection() for _ in range(9)]
        (answer,) = exchange(service, LAST)
        assert refusal(answer) == (503, "too_many_connections")
        assert answer[1]["retry-after"] == "1"
        for connection in idle:
            connection.close()
        wait_for_connections(service, 1)
        many = [service.raw_connection() for _ in range(90)]  # more than are read to their end
        for connection in many[9:]:
            (answer,) = answers(received(connection))
            assert refusal(answer) == (503, "too_many_connections")
            assert answer[1]["retry-after"] == "1"
        for connection in many:
            connection.close()
        wait_for_connections(service, 1)
        assert [found[0] for found in exchange(service, LAST)] == [200]
        figures = service.client.get("/metrics").text.splitlines()
        refused = 1 + len(many[9:])
        assert f'{REFUSED}{{reason="too_many_connections"}} {refused}.0' in figures
        assert f'{ANSWERED}{{operation="other",status="503"}} {refused}.0' in figures


def test_who_is_turned_away_reads_why_whatever_it_has_sent(tiny_bundle: TinyBundle) -> None:
    """Closed before that is read, a connection would be reset, and the answer may be lost."""
    with serving(tiny_bundle.folder, "--max-connections", "1") as service:
        assert service.client.get("/health/live").status_code == 200  # and keeps its connection
        open_still = [service.raw_connection() for _ in range(REFUSED_CONNECTIONS)]
        late = [service.raw_connection() for _ in range(10)]
        for connection in late:
            connection.sendall(REQUEST + LAST)
        for connection in late:
            (answer,) = answers(received(connection))
            assert refusal(answer) == (503, "too_many_connections")
        for connection in (*open_still, *late):
            connection.close()


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        (b"http://localhost/health/live", b"evil.example", 200),
        (b"http://localhost", b"localhost", 200),
        (b"http://[::1]:80/nodes?limit=1", b"evil.example", 200),
        (b"http://evil.example/info", b"localhost", 421),
        (b"//evil.example/info", b"localhost", 404),
        (b"*", b"localhost", 404),
    ],
)
def test_a_target_with_a_host_goes_before_the_header(
    service: Service, target: bytes, host: bytes, status: int
) -> None:
    request = b"GET %s HTTP/1.1\r\nhost: %s\r\nconnection: close\r\n\r\n" % (target, host)
    if target == b"*":
        request = request.replace(b"GET", b"OPTIONS")
    assert [answer[0] for answer in exchange(service, request)] == [status]


def test_connections_leave_files_for_the_rest(tiny_bundle: TinyBundle) -> None:
    """Where few files may be open, clients are refused before the process is out of them."""
    limited = ["bash", "-c", 'ulimit -n 140; exec "$@"', "bash"]
    process = subprocess.Popen(
        [*limited, *command(tiny_bundle.folder, "--port", "0")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().split()[2].rpartition(":")[2])
        open_connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
        with socket.create_connection(("127.0.0.1", port)) as connection:
            answer = received(connection)
        assert answer == b"" or b"too_many_connections" in answer
        for connection in open_connections:
            connection.close()
        deadline = time.monotonic() + 15
        while not answer.startswith(b"HTTP/1.1 200"):
            assert time.monotonic() < deadline
            with (
                suppress(ConnectionError),
                socket.create_connection(("127.0.0.1", port)) as connection,
            ):
                connection.sendall(LAST)
                answer = received(connection)
    finally:
        process.terminate()
        _, log = process.communicate(timeout=STOP_SECONDS)
    messages = [json.loads(line)["message"] for line in log.splitlines()]
    assert any("ulimit -n" in message for message in messages)
    assert process.returncode == 0
