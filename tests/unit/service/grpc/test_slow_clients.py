"""gRPC clients that hold resources unused: calls without messages, idle connections."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc  # type: ignore[import-untyped]
import pytest

from service.grpc.protocol import SERVICE
from service.http.access import Role, add_key
from service.http.connections import REFUSED_CONNECTIONS
from service.settings import Settings
from tests.bundles import TinyBundle
from tests.unit.service.grpc.test_server import WAIT, call, running, wait_for_place
from understudy.engine import Engine

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = bytes(3) + b"\x04" + bytes(5)  # a frame that says nothing
SHORT = 0.2  # seconds, which a client here lets pass


@pytest.fixture(scope="module")
def engine(tiny_bundle: TinyBundle) -> Iterator[Engine]:
    with Engine.open(tiny_bundle.folder) as engine:
        yield engine


def refusal(address: str, messages: Iterator[bytes]) -> tuple[str, str]:
    with grpc.insecure_channel(address) as channel:
        ask = channel.stream_unary(f"/{SERVICE}/ModelInfer")
        with pytest.raises(grpc.RpcError) as caught:
            ask(messages, timeout=WAIT)
        return caught.value.code().name, caught.value.details()


def until_closed(connection: socket.socket) -> bytes:
    """All that comes before the other side closes."""
    connection.settimeout(WAIT)
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def opened(address: str) -> socket.socket:
    host, _, port = address.partition(":")
    connection = socket.create_connection((host, int(port)), timeout=WAIT)
    connection.sendall(PREFACE + SETTINGS)
    return connection


def test_a_call_without_a_message_keeps_no_other_out(engine: Engine, tmp_path: Path) -> None:
    add_key(tmp_path / "keys.json", "somebody", Role.read)
    settings = Settings(max_connections=1, receive_seconds=SHORT, keys_file=tmp_path / "keys.json")
    done = threading.Event()

    def never() -> Iterator[bytes]:
        done.wait(WAIT)
        yield from ()

    with running(engine, settings) as (app, server, _):
        status, details = refusal(server.address, never())
        done.set()
        assert (status, details) == (
            "DEADLINE_EXCEEDED",
            "slow_body: the message did not arrive within 0.2 s",
        )
        assert call(server.address, "ServerLive").live
        figures = app.parts.metrics.render().decode()
    assert 'understudy_rejections_total{reason="slow_body"} 1.0' in figures
    assert "message_not_read" not in figures


def test_a_call_that_ends_without_a_message_is_refused(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with running(engine, Settings()) as (app, server, _):
        assert refusal(server.address, iter(()))[0] == "INVALID_ARGUMENT"
        figures = app.parts.metrics.render().decode()
    assert 'understudy_rejections_total{reason="message_not_read"} 1.0' in figures
    assert not caplog.records


@pytest.mark.parametrize("sent", [b"", PREFACE + SETTINGS], ids=["silent", "idle"])
def test_a_connection_without_calls_is_closed(engine: Engine, sent: bytes) -> None:
    with running(engine, Settings(receive_seconds=SHORT)) as (_, server, _):
        host, _, port = server.address.partition(":")
        with socket.create_connection((host, int(port)), timeout=WAIT) as connection:
            connection.sendall(sent)
            assert until_closed(connection)


def test_no_more_connections_are_taken_than_may_be_open(engine: Engine) -> None:
    with running(engine, Settings(max_connections=2)) as (_, server, _), ExitStack() as stack:
        for _ in range(2 + REFUSED_CONNECTIONS):
            connection = stack.enter_context(opened(server.address))
            assert connection.recv(1)  # it is served
        with opened(server.address) as beyond:
            assert until_closed(beyond) == b""


def test_a_client_that_takes_no_answer_keeps_no_other_out(engine: Engine) -> None:
    settings = Settings(max_connections=1, send_seconds=SHORT)
    with running(engine, settings) as (_, server, _), opened(server.address) as connection:
        connection.sendall(frame(4, 0, 0, b"\x00\x04" + bytes(4)))  # no room for an answer
        headers = bytes((0x83, 0x86, 0x44)) + text(f"/{SERVICE}/ServerLive")  # POST, http, :path
        headers += b"\x41" + text(server.address)  # :authority
        for name, value in (("te", "trailers"), ("content-type", "application/grpc")):
            headers += b"\x40" + text(name) + text(value)
        connection.sendall(frame(1, 4, 1, headers) + frame(0, 1, 1, bytes(5)))  # a whole call
        while not server.calls.running:
            assert connection.recv(65_536)
        assert wait_for_place(server.address)


def text(value: str) -> bytes:
    """As HPACK has it, without Huffman's code."""
    return bytes([len(value)]) + value.encode()


def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    """Of HTTP/2."""
    return (
        len(content).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + content
    )
