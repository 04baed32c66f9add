"""More nodes than a request may hold: the client splits them and joins the answers."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from service.app import create_app
from service.settings import Settings
from tests.bundles import NODES as NODES_STORED
from tests.bundles import TinyBundle, write_tiny_bundle
from tests.e2e.conftest import Service, serving
from tests.http_servers import serve
from understudy.client import (
    AsyncClient,
    Client,
    Node,
    RefusedError,
    UnavailableError,
    calls,
)
from understudy.client.models import RequestLimits, Rows
from understudy.client.parts import AROUND, CHARACTERS, ROUNDS, of_one_model, split
from understudy.engine import Engine

LIMITS = RequestLimits(nodes=1_024, body_bytes=8 * 2**20)
NODES = LIMITS.nodes
PAIRS = Settings(max_nodes=3).limits  # two, and one more beside them


@pytest.fixture(scope="module")
def roomy(tiny_bundle: TinyBundle) -> Iterator[Service]:
    with serving(tiny_bundle.folder) as running:
        yield running


def test_any_number_of_nodes_is_answered_in_order(roomy: Service) -> None:
    known = [f"node-{number % NODES_STORED}" for number in range(NODES)]
    nodes: list[Node | str] = [*known, *["nobody"] * NODES, Node(text="http"), *known[:10]]

    async def ask() -> object:
        async with AsyncClient(roomy.url) as client:
            return await client.classify(nodes, top_k=2)

    with Client(roomy.url) as client:
        answer = client.classify(nodes, top_k=2)
        few = client.classify(known[:40], top_k=2)
    assert answer == asyncio.run(ask())
    predictions = answer.predictions
    assert [p.index for p in predictions] == list(range(len(nodes)))
    assert [p.id for p in predictions[:-11]] == nodes[:-11]
    assert [p.error for p in predictions[:NODES]] == [None] * NODES
    assert [p.error for p in predictions[NODES:-11]] == ["unknown_node"] * NODES
    assert [p.error for p in predictions[-11:]] == [None] * 11
    assert [p.top for p in predictions[:40]] == [p.top for p in few.predictions]


@contextmanager
def replaced_after(folder: Path, answers: int) -> Iterator[tuple[str, list[str]]]:
    """A service whose model is another one from some answer on; its URL, and both versions."""
    write_tiny_bundle(folder / "first")
    write_tiny_bundle(folder / "second", label_names=tuple("abcd"), seed=12)
    engines = [Engine.open(folder / name, limits=PAIRS) for name in ("first", "second")]
    app, left = create_app(engines[0], Settings()), answers

    async def replacing(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal left
        if scope["type"] == "http" and scope["method"] == "POST":
            if not left:
                app.parts.slot.engine = engines[1]
            left -= 1
        await app(scope, receive, send)

    url, stop = serve(replacing)
    try:
        yield url, [engine.model_version for engine in engines]
    finally:
        stop()


@pytest.mark.parametrize("answers", [0, 1, 2, 3])
def test_many_nodes_are_answered_by_one_model(tmp_path: Path, answers: int) -> None:
    nodes: list[Node | str] = ["node-1", "node-2", "nobody", "nothing", "node-1"]
    with replaced_after(tmp_path, answers) as (url, versions), Client(url) as client:
        answer = client.classify(nodes)
        assert answer.model_version == versions[1]
        labels = [p.label for p in answer.predictions]
        assert labels[0] == labels[4] == client.classify("node-1").predictions[0].label
        assert labels[2:4] == [None, None]


@pytest.mark.parametrize("answers", [1, 2])
def test_vectors_are_of_one_model(tmp_path: Path, answers: int) -> None:
    with replaced_after(tmp_path, answers) as (url, _), Client(url) as client:
        first, *_, last = client.embeddings(["node-1", *("node-2",) * 3, "node-1"])
        assert first == last == client.embeddings("node-1")[0]


def test_models_that_answer_in_turns_are_told() -> None:
    answers: list[Rows[tuple[float, ...]]] = [Rows(name, []) for name in "ab"]
    asking = of_one_model(answers, lambda _: calls.embeddings([]))
    next(asking)
    for number in range(ROUNDS - 1):
        asking.send(Rows("ab"[number % 2], []))
    with pytest.raises(UnavailableError, match="different models"):
        asking.send(Rows("a", []))


def test_where_no_node_of_many_can_be_answered_all_are_refused(roomy: Service) -> None:
    with Client(roomy.url) as client, pytest.raises(RefusedError, match="unknown_node"):
        client.classify(["nobody"] * (2 * NODES))


def test_nodes_are_parted_by_number_and_by_text() -> None:
    one, long = Node(id="a"), Node(text="x" * (CHARACTERS // 2 - AROUND))

    def sizes(nodes: list[Node], limits: RequestLimits = LIMITS) -> list[int]:
        return [len(part) for part in split(nodes, limits)]

    assert sizes([one] * NODES) == [NODES]
    assert sizes([one] * (NODES + 1)) == [NODES - 1, 2]
    assert sizes([long] * 5) == [2, 2, 1]
    assert sizes([Node(text="x" * 2 * CHARACTERS)] * 2) == [1, 1]
    assert sizes([one] * 5, RequestLimits(nodes=1, body_bytes=2**20)) == [1] * 5
    assert sizes([long] * 3, RequestLimits(nodes=9, body_bytes=2**20)) == [1] * 3
