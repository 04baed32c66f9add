"""Clients that close their sending side: some have left, others still listen."""

import json
import re
import socket
import struct
import time

import pytest

from tests.bundles import TinyBundle
from tests.e2e.conftest import POST_CLASSIFY, STOP_SECONDS, Service, answers, received, serving

BODY = b'{"nodes": [{"id": "node-1"}]}'
REQUEST = POST_CLASSIFY + b"content-length: %d\r\n\r\n" % len(BODY) + BODY


def half_closed(service: Service, sent: bytes) -> list[int]:
    """Sends, closes that side alone, and gives the statuses of what comes, without interim ones."""
    with service.raw_connection() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return [answer[0] for answer in answers(received(connection)) if answer[0] != 100]


def unseen(count: int) -> bytes:
    body = json.dumps({"nodes": [{"text": f"http socket {n}"} for n in range(count)]}).encode()
    return POST_CLASSIFY + b"content-length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (unseen(200), [200]),
        (unseen(100) + REQUEST + unseen(100), [200, 200, 200]),
        (unseen(100) + b"nonsense\r\n\r\n", [200, 400]),
        (REQUEST[:-1], []),  # it cannot become whole any more
        (REQUEST[:9], []),
        (unseen(100) + REQUEST[:9], [200]),
        (unseen(100) + unseen(100) + REQUEST[:9], [200, 200]),
        (unseen(100) + unseen(100) + REQUEST[:-1], [200, 200]),
        (unseen(100) + unseen(100) + unseen(100) + REQUEST[:-1], [200, 200, 200]),
        (b"", []),
    ],
)
def test_who_sends_no_more_and_listens_is_answered(
    service: Service, sent: bytes, expected: list[int]
) -> None:
    assert half_closed(service, sent) == expected


def test_a_client_that_left_is_distinguished_from_one_that_listens(tiny_bundle: TinyBundle) -> None:
    """Both close their sending side; of one whose machine refuses answers, nothing is computed."""
    limits = ("--max-nodes", "4000", "--queue-seconds", "1e6", "--request-seconds", "1e6")
    with serving(tiny_bundle.folder, "--batch-tokens", "1", *limits) as service:
        with service.raw_connection() as connection:
            connection.sendall(unseen(4_000))  # so many batches
        assert half_closed(service, unseen(1)) == [200]
        deadline = time.monotonic() + STOP_SECONDS
        while 'rejections_total{reason="client_left"} 1.0' not in (
            metrics := service.client.get("/metrics").text
        ):
            assert time.monotonic() < deadline
    found = re.search(r"^understudy_batch_nodes_count (\S+)", metrics, re.MULTILINE)
    assert found
    assert float(found[1]) < 4_000


def test_for_who_left_nothing_is_computed_whatever_waits_behind_it(
    tiny_bundle: TinyBundle,
) -> None:
    """A further request on the connection waits for its turn when the client leaves."""
    limits = ("--max-nodes", "4000", "--queue-seconds", "1e6", "--request-seconds", "1e6")
    with serving(tiny_bundle.folder, "--batch-tokens", "1", *limits) as service:
        with service.raw_connection() as connection:
            connection.sendall(unseen(4_000) + REQUEST)  # so many batches
            assert wait_for(service, r'batch_nodes_bucket{le="\+Inf"} ([1-9]\d*)')
            reset = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        wait_for(service, r'rejections_total{reason="client_left"} 1.0')
        assert float(wait_for(service, r"batch_nodes_count (\S+)")) < 4_000
        wait_for(service, r'requests_total{operation="classify",status="0"} 1.0')


def wait_for(service: Service, pattern: str) -> str:
    """Waits until the metrics have a line; gives what its group matches."""
    deadline = time.monotonic() + STOP_SECONDS
    while (found := re.search(pattern, service.client.get("/metrics").text)) is None:
        assert time.monotonic() < deadline
    return found[found.lastindex or 0]
