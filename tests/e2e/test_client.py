"""The Python client against a real service, and a service that is busy at first."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from client import AsyncClient, Client, Node, RefusedError, UnavailableError, UnexpectedAnswerError
from client.calls import Retries
from tests.e2e.conftest import Service

QUICK = Retries(attempts=3, first_pause=0.01, longest_pause=0.02)


def test_the_client_classifies_and_changes(service: Service) -> None:
    with Client(service.url) as client:
        answer = client.classify([Node(id="node-1"), Node(text="http"), Node(id="x")], top_k=2)
        assert [p.error for p in answer.predictions] == [None, None, "unknown_node"]
        assert len(answer.predictions[0].top) == 2
        before = client.info()["graph_version"]
        assert client.put_node("by/client", "http", neighbors=["node-1"]).graph_version > before
        assert client.classify([Node(id="by/client")]).predictions[0].label
        change = client.mutate([{"kind": "upsert_node", "id": "by/client", "text": "proof"}], "k")
        again = client.mutate([{"kind": "upsert_node", "id": "by/client", "text": "proof"}], "k")
        assert (again.graph_version, again.repeated) == (change.graph_version, True)
        client.delete_node("by/client")
        with pytest.raises(RefusedError) as refused:
            client.classify([Node(id="by/client")])
        assert (refused.value.status, refused.value.code) == (404, "unknown_node")
        assert refused.value.request_id
        with pytest.raises(RefusedError, match="teacher"):
            client.compare([Node(id="node-1")])


def test_the_asyncio_client_does_the_same(service: Service) -> None:
    async def ask() -> None:
        async with AsyncClient(service.url) as client:
            answers = await asyncio.gather(*(client.classify([Node(id="node-1")]) for _ in "abc"))
            assert len({answer.predictions[0].label for answer in answers}) == 1
            await client.put_node("async", "http")
            await client.mutate([{"kind": "delete_node", "id": "async"}])
            assert (await client.info())["model"] == "tiny-hashing"
            with pytest.raises(RefusedError):
                await client.classify([Node(id="async")])

    asyncio.run(ask())


@contextmanager
def scripted(*answers: tuple[int, bytes]) -> Iterator[str]:
    """A server with these answers, the last one over and over."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("retry-after", "1")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def both_infos(url: str) -> list[object]:
    """What either client says of the same service."""

    async def ask() -> object:
        async with AsyncClient(url, key="k", retries=QUICK) as client:
            return await client.info()

    with Client(url, key="k", retries=QUICK) as client:
        return [client.info(), asyncio.run(ask())]


def test_a_busy_service_is_asked_again() -> None:
    good = (200, b'{"model": "m"}')
    with scripted((429, b""), (503, b""), good) as url:
        assert both_infos(url) == [{"model": "m"}] * 2


def test_who_stays_busy_or_away_is_unavailable() -> None:
    with scripted((503, b"")) as url, pytest.raises(UnavailableError, match=r"3 attempts.*503"):
        both_infos(url)
    with pytest.raises(UnavailableError, match="ConnectError"):
        both_infos(url)


@pytest.mark.parametrize("answer", [(200, b"hello"), (404, b"{}"), (500, b"[]")])
def test_what_is_not_the_service_is_said(answer: tuple[int, bytes]) -> None:
    with scripted(answer) as url, pytest.raises(UnexpectedAnswerError, match=str(answer[0])):
        both_infos(url)
