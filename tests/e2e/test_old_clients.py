"""Clients of HTTP/1.0: old programs, and proxies unless they are told otherwise."""

import json

import pytest

from tests.e2e.conftest import POST_CLASSIFY, Service, answers, received

KEEP = b"connection: keep-alive\r\n"


def asked(service: Service, *requests: bytes) -> bytes:
    """Everything that a connection is answered until it ends."""
    with service.raw_connection() as connection:
        for request in requests:
            connection.sendall(request)
        return received(connection)


def test_it_may_keep_its_connection(service: Service) -> None:
    get = b"GET /health/live HTTP/1.0\r\n"
    kept, last = answers(asked(service, get + KEEP + b"\r\n", get + b"\r\n"))
    assert (kept[0], kept[1]["connection"]) == (200, "keep-alive")
    assert (last[0], last[1]["connection"]) == (200, "close")


@pytest.mark.parametrize("wish", [b"", KEEP])
def test_an_answer_of_unknown_length_ends_with_the_connection(
    service: Service, wish: bytes
) -> None:
    head, _, body = asked(service, b"GET /graph HTTP/1.0\r\n" + wish + b"\r\n").partition(
        b"\r\n\r\n"
    )
    assert b"transfer-encoding" not in head
    assert head.count(b"connection: ") == head.count(b"connection: close") == 1
    assert json.loads(body.splitlines()[-1])["kind"] == "end"
    assert body.decode() == service.client.get("/graph").text


def test_the_head_of_such_an_answer_has_no_length(service: Service) -> None:
    (answer,) = answers(asked(service, b"HEAD /graph HTTP/1.0\r\n\r\n"))
    assert (answer[0], answer[1]["connection"], answer[2]) == (200, "close", b"")


def test_it_gets_no_interim_answer(service: Service) -> None:
    head = POST_CLASSIFY.replace(b"HTTP/1.1", b"HTTP/1.0") + b"expect: 100-continue\r\n"
    body = b'{"nodes": [{"id": "node-1"}]}'
    (answer,) = answers(asked(service, head + b"content-length: %d\r\n\r\n" % len(body), body))
    assert answer[0] == 200
    assert json.loads(answer[2])["predictions"][0]["id"] == "node-1"
