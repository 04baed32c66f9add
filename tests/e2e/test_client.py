"""The Python client against a real service, and a service that is busy at first."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.bundles import NODES as NODES_STORED
from tests.bundles import TinyBundle
from tests.e2e.conftest import Service, serving
from understudy.client import (
    AsyncClient,
    Client,
    InvalidRequestError,
    Node,
    RefusedError,
    UnavailableError,
    UnexpectedAnswerError,
)
from understudy.client.attempts import Retries
from understudy.graph.mutable.stream import read_graph

ONE_ID: Any = "node-1"  # what a type checker would not let pass
NO_IDS: Any = [1]
HERE = "http://127.0.0.1:9"
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
def scripted(
    *answers: tuple[int, bytes],
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
) -> Iterator[str]:
    """A server with these answers, the last one over and over."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("retry-after", "1")
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    setattr(Handler, f"do_{method}", Handler.answer)
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


@pytest.mark.parametrize("status", [502, 504])
def test_a_proxy_that_does_not_reach_the_service_is_asked_again(status: int) -> None:
    page = (status, b"<html>Bad Gateway</html>")
    with scripted(page, (200, b'{"model": "m"}')) as url:
        assert Client(url, retries=QUICK).info()["model"] == "m"
    with scripted(page) as url, pytest.raises(UnavailableError, match=f"status {status}"):
        Client(url, retries=QUICK).info()
    own = b'{"error": {"code": "deadline", "message": "too late", "details": {}}}'
    good = (200, b'{"model": "m"}')
    with scripted((status, own), good) as url, pytest.raises(RefusedError, match="too late"):
        Client(url, retries=QUICK).info()


def test_where_another_address_is_named_it_is_told() -> None:
    sent_on = {"location": "https://login.example/"}
    with (
        scripted((302, b""), headers=sent_on) as url,
        pytest.raises(
            UnexpectedAnswerError, match=r"302 \(it redirects to https://login.example/\)"
        ),
    ):
        Client(url, retries=QUICK).info()


def test_who_stays_busy_or_away_is_unavailable() -> None:
    with (
        scripted((503, b"")) as url,
        pytest.raises(UnavailableError, match=r"http://127.*3 attempts.*503"),
    ):
        both_infos(url)
    with pytest.raises(UnavailableError, match=r"does not answer.*ConnectError"):
        both_infos(url)


@pytest.mark.parametrize("answer", [(200, b"hello"), (404, b"{}"), (500, b"[]")])
def test_what_is_not_the_service_is_said(answer: tuple[int, bytes]) -> None:
    with scripted(answer) as url, pytest.raises(UnexpectedAnswerError, match=str(answer[0])):
        both_infos(url)


def test_an_address_without_a_scheme_is_http(service: Service) -> None:
    with Client(service.url.removeprefix("http://")) as client:
        assert client.ready()
        assert client.info()["model"] == "tiny-hashing"


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://127.0.0.1:http",
        "http://127.0.0.1:99999",
        "ftp://127.0.0.1",
        "htp://127.0.0.1:8000",
        "http://",
        "",
        "http://a\nb",
    ],
)
def test_what_is_no_address_is_said_at_once(url: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(InvalidRequestError, match="is not a URL"):
            kind(url)


def test_an_address_that_asks_for_something_is_refused() -> None:
    for more in ("?model=a", "#top"):
        with pytest.raises(InvalidRequestError, match=r"remove the query or fragment"):
            Client(HERE + more)


@pytest.mark.parametrize("key", ["a\nb", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_said_at_once(key: str) -> None:
    with pytest.raises(InvalidRequestError, match="the key must be printable ASCII"):
        Client(HERE, key=key)
    with Client(HERE) as client, pytest.raises(InvalidRequestError, match="idempotency key"):
        client.mutate([{"kind": "delete_node", "id": "a"}], key)


def test_a_service_that_is_away_is_not_ready() -> None:
    with Client(HERE) as client:
        assert not client.ready()
    assert not asyncio.run(AsyncClient(HERE).ready())


def test_ids_alone_are_stored_nodes(service: Service) -> None:
    with Client(service.url) as client:
        answer = client.classify([Node(id="node-1")])
        for nodes in (["node-1"], "node-1", Node(id="node-1")):
            assert client.classify(nodes) == answer


def test_explanations_vectors_and_similar_nodes_have_methods(service: Service) -> None:
    with Client(service.url) as client:
        plain, explained = client.classify("node-1"), client.classify("node-1", explain=True)
        assert plain.predictions[0].explanation is None
        explanation = explained.predictions[0].explanation
        assert explanation is not None
        assert explanation.label == explained.predictions[0].label
        assert {i.part for i in explanation.neighbors} == set(client.neighbors("node-1"))
        assert explanation.words
        first, second = client.embeddings(["node-1", Node(text="http")])
        assert len(first) == len(second) > 1
        with pytest.raises(RefusedError, match="no stored node has the id 'nobody'") as refusal:
            client.embeddings(["nobody"])
        assert (refusal.value.status, refusal.value.code) == (404, "unknown_node")
        assert refusal.value.details == {}
        with pytest.raises(RefusedError) as refusal:
            client.embeddings([])
        assert refusal.value.details == {"field": "input"}
        near = client.similar("node-1", count=3, label=explanation.label)
        assert len(near) == 3
        assert {node.label for node in near} == {explanation.label}
        many = client.classify(["node-1", "nobody"] * 20, explain=True).predictions
        assert [p.index for p in many] == list(range(40))
        assert [p.explanation == explanation for p in many] == [True, False] * 20
        with pytest.raises(RefusedError, match="route student"):
            client.classify("node-1", route="auto", explain=True)


def test_edges_health_metrics_and_document_have_methods(service: Service) -> None:
    with Client(service.url) as client:
        assert client.live()
        assert "/classify" in client.document()["paths"]
        client.put_node("alone", "http", key="put")
        before = client.node("alone").graph_version
        assert client.add_edge("alone", "node-1", "link").graph_version == before + 1
        assert client.add_edge("alone", "node-1", "link").repeated
        assert client.neighbors("alone") == ("node-1",)
        client.remove_edge("node-1", "alone")
        assert client.neighbors("alone") == ()
        client.delete_node("alone")
        assert "understudy_requests_total" in client.metrics()


def test_nodes_come_in_pages_and_are_searched(service: Service) -> None:
    with Client(service.url) as client:
        page = client.nodes(limit=6, split="test")
        names = [node.id for node in page.nodes]
        while page.next is not None:
            page = client.nodes(page.next, 6, split="test")
            names += [node.id for node in page.nodes]
        assert names == sorted(f"node-{number}" for number in range(20, NODES_STORED))
        games = client.nodes(label="games").nodes
        assert {node.label for node in games} == {"games"}
        assert client.search("") == ()
        (found,) = client.search("number17 buffer")
        assert (found.id, found.label) == ("node-17", "editors")
        assert found.predicted == client.classify("node-17").predictions[0].label
        with pytest.raises(RefusedError, match="split"):
            client.nodes(split="training")
        with pytest.raises(InvalidRequestError, match="half a character"):
            client.search("\ud800")


def test_a_reload_says_what_answers(tiny_bundle: TinyBundle) -> None:
    with serving(tiny_bundle.folder) as running, Client(running.url) as client:
        assert client.reload()["model"] == "tiny-hashing"


def test_requests_keep_to_the_limits_that_the_service_tells(service: Service) -> None:
    with Client(service.url) as client:
        limit = client.info()["limits"]["nodes"]
        assert limit < 1_024
        answer = client.classify(f"node-{number % NODES_STORED}" for number in range(limit + 1))
        assert len(answer.predictions) == limit + 1
        assert client.limits is not None
        assert client.limits.nodes == limit


def test_a_single_node_asks_for_no_limits() -> None:
    refused = b'{"error": {"code": "unknown_node", "message": "none", "details": {}}}'
    with (
        scripted((404, refused), method="POST") as url,
        Client(url) as client,
        pytest.raises(RefusedError, match="unknown_node"),
    ):
        client.classify("nobody")


def test_a_scheme_that_is_added_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="understudy.client"):
        Client("user:geheim@127.0.0.1:9").close()
        Client(HERE).close()
    assert [record.getMessage() for record in caplog.records] == [
        "the address has no scheme; using http://127.0.0.1:9"
    ]


def test_methods_are_documented_once_for_both() -> None:
    assert Client.classify is AsyncClient.classify
    assert "one prediction per node" in str(Client.classify.__doc__)
    assert Client(HERE).put_node.__name__ == "put_node"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda client: client.classify({"id": "node-1"}), "nodes is a dict"),
        (lambda client: client.classify(b"node-1"), "nodes is a bytes"),
        (lambda client: client.classify([{"id": "node-1"}]), r"nodes\[0\] is a dict"),
        (lambda client: client.classify([Node(id="a"), 5]), r"nodes\[1\] is a int"),
        (lambda client: client.compare({"id": "node-1"}), "nodes is a dict"),
        (lambda _: Node(text="x", neighbors=ONE_ID), "neighbors is one text, 'node-1'"),
        (lambda _: Node(text="x", neighbors=NO_IDS), "neighbors holds 1; an id is a str"),
        (lambda client: client.put_node("a", "x", neighbors="node-1"), "neighbors is one text"),
        (lambda client: client.mutate({"kind": "delete_node", "id": "a"}), "one change"),
        (lambda client: client.mutate([{"id": {1}}]), "written as JSON"),
        (lambda client: client.mutate(5), "mutations is a int"),
        (lambda client: client.classify(None), "nodes is a NoneType"),
        (lambda client: client.node(5), "a node's id is a int; give a str"),
        (lambda client: client.delete_node("a", key=5), "idempotency key is a int"),
        (lambda client: client.put_node("a", "x", neighbors=None), "neighbors is a NoneType"),
        (lambda _: Node(id=NO_IDS), "id is a list; give a str"),
        (lambda _: Node(text=NO_IDS), "text is a list; give a str"),
        (lambda _: Client(NO_IDS), "url is a list; give a str"),
        (lambda _: Client(HERE, key=NO_IDS), "key is a list; give a str"),
        (
            lambda _: Client(HERE, timeout=NO_IDS),
            r"timeout is \[1\]; give a number of seco",
        ),
        (
            lambda _: Client(HERE, timeout=float("inf")),
            "timeout is inf; give a number of sec",
        ),
        (
            lambda _: AsyncClient(HERE, timeout=1e10),
            "of seconds above 0, up to 2,000,000",
        ),
        (lambda _: Client(HERE, retries=NO_IDS), "retries is a list; give Retries"),
        (lambda client: client.classify(["\ud800"]), "half a character"),
        (lambda client: client.put_node("\ud800", "x"), "half a character"),
        (lambda client: client.put_node("", "x"), "must not be empty"),
        (lambda client: client.delete_node(""), "must not be empty"),
        (lambda client: client.delete_node("a", key=""), "key is empty"),
        (lambda client: client.node("x" * 70_000), "cannot be sent"),
    ],
)
def test_what_is_no_request_is_not_sent(call: Any, message: str) -> None:
    with Client(HERE) as client, pytest.raises(InvalidRequestError, match=message):
        call(client)


@pytest.mark.parametrize("node_id", ["a/neighbors", ".", "..", "%41", "a b/ü?#", "../x"])
def test_any_id_is_itself(service: Service, node_id: str) -> None:
    with Client(service.url) as client:
        client.put_node(node_id, "http", neighbors=["node-1"])
        stored = client.node(node_id)
        assert (stored.id, stored.text, stored.degree) == (node_id, "http", 1)
        assert client.neighbors(node_id) == ("node-1",)
        client.delete_node(node_id)
        with pytest.raises(RefusedError, match="unknown_node"):
            client.node(node_id)


def test_an_id_that_no_graph_may_have_is_refused(service: Service) -> None:
    with Client(service.url) as client, pytest.raises(RefusedError, match="control character"):
        client.put_node("a\nb", "http")


@pytest.mark.parametrize("after", ["Wed, 21 Oct 2026 07:28:00 GMT", "²", "-1", "1.5", ""])
def test_a_pause_that_cannot_be_read_is_the_clients_own(after: str) -> None:
    response = httpx.Response(503, headers={b"retry-after": after.encode("latin-1")})
    assert 0 < QUICK.pause(0, response) <= QUICK.longest_pause


def test_an_answer_that_cannot_be_read_is_said() -> None:
    broken = {"content-encoding": "gzip"}
    unread = pytest.raises(UnexpectedAnswerError, match="cannot be read")
    with scripted((200, b"no gzip"), headers=broken) as url, unread:
        both_infos(url)


def test_the_lines_of_a_graph_end_where_the_service_ends_them(service: Service) -> None:
    text = "one\u2028two\u2029three\x85four\x0bfive\x1csix"
    with Client(service.url) as client:
        client.put_node("lines", text, neighbors=["node-1"])
        with client.graph_lines() as lines:
            graph = read_graph(lines, client.where)
        assert graph.texts[graph.index_of["lines"]].as_py() == text
        client.delete_node("lines")
