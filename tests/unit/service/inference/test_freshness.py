"""Requests for a version of the graph wait for it, within their time."""

import asyncio
from concurrent.futures import Future
from threading import Event, Thread
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.http.bodies import SerialExecutor
from service.http.exchange import Exchange
from service.inference.current import Slot
from service.inference.freshness import Freshness
from tests.bundles import TinyBundle
from understudy.engine import Engine
from understudy.engine.errors import NotReadyError
from understudy.graph.mutations import AddEdge, UpsertNode

ASKED = [
    ("POST", "/classify", {"nodes": [{"id": "node-1"}]}),
    ("POST", "/predict", {"inputs": "a text"}),
    ("POST", "/surroundings", {"id": "node-1"}),
    ("GET", "/nodes/node-1", None),
    ("GET", "/nodes/node-1/neighbors", None),
    ("GET", "/nodes", None),
    ("GET", "/info", None),
]
CHANGES = [
    ("PUT", "/nodes/b", {"text": "json"}),
    ("DELETE", "/nodes/node-1", None),
    ("POST", "/edges", {"source": "a", "target": "node-1"}),
    ("DELETE", "/edges", {"source": "a", "target": "node-1"}),
    ("POST", "/mutations", {"mutations": [{"kind": "delete_node", "id": "node-2"}]}),
]


def headers(version: object, seconds: float = 30) -> dict[str, str]:
    return {"x-min-graph-version": str(version), "x-timeout-seconds": str(seconds)}


@pytest.mark.parametrize(("method", "path", "body"), ASKED)
def test_a_version_that_does_not_come_is_named(
    client: TestClient, engine: Engine, method: str, path: str, body: Any
) -> None:
    engine.apply([UpsertNode("a", "json")])
    assert client.request(method, path, json=body, headers=headers(1)).status_code == 200
    late = client.request(method, path, json=body, headers=headers(1_002, 0.01))
    error = late.json()["error"]
    assert (late.status_code, error["code"]) == (503, "version_not_reached")
    assert error["details"] == {"graph_version": 1, "min_graph_version": 1_002}
    assert "version 1 here; version 1,002 did not arrive" in error["message"]
    assert late.headers["retry-after"] == "1"


@pytest.mark.parametrize("sent", ["-1", "1.0", "many", "", "1" * 19])
def test_what_is_no_version_is_refused(client: TestClient, sent: str) -> None:
    for method, path, body in [*ASKED[:4], *CHANGES]:
        answer = client.request(method, path, json=body, headers=headers(sent))
        assert answer.status_code == 422
        assert answer.json()["error"]["details"] == {"field": "x-min-graph-version"}


def test_a_read_waits_for_the_version(client: TestClient, engine: Engine) -> None:
    waits = Event()
    reach = engine.reach

    def reaching(version: int) -> Future[None]:
        arrival = reach(version)
        waits.set()
        return arrival

    engine.reach = reaching  # type: ignore[method-assign]
    answers: list[Any] = []

    def ask() -> None:
        body = {"nodes": [{"id": "a"}]}
        answers.append(client.post("/classify", json=body, headers=headers(2)))

    asking = Thread(target=ask)
    asking.start()
    assert waits.wait(60)
    engine.apply([UpsertNode("b", "json")])
    assert not answers
    engine.apply([UpsertNode("a", "json")])
    asking.join(60)
    assert answers[0].status_code == 200
    assert answers[0].json()["graph_version"] == 2


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_a_change_is_made_upon_the_version_or_not_at_all(
    client: TestClient, engine: Engine, method: str, path: str, body: Any
) -> None:
    engine.apply([UpsertNode("a", "json")])
    if method == "DELETE" and path == "/edges":
        engine.apply([AddEdge("a", "node-1")])
    before = engine.state.version
    late = client.request(method, path, json=body, headers=headers(before + 1, 0.01))
    error = late.json()["error"]
    assert (late.status_code, error["code"]) == (503, "version_not_reached")
    assert error["details"] == {"graph_version": before, "min_graph_version": before + 1}
    assert engine.state.version == before
    made = client.request(method, path, json=body, headers=headers(before))
    assert made.json()["graph_version"] == before + 1


def test_no_bundle_is_opened_for_a_version_that_does_not_come(client: TestClient) -> None:
    late = client.post("/admin/reload", headers=headers(9, 0.01))
    assert late.json()["error"]["code"] == "version_not_reached"


def asking_for(version: int) -> Exchange:
    async def never() -> Any:
        raise AssertionError

    scope = {"headers": [(k.encode(), v.encode()) for k, v in headers(version).items()]}
    return Exchange(scope, never, never, 0, SerialExecutor())  # type: ignore[arg-type]


def test_the_wait_goes_on_with_the_bundle_that_takes_over(
    engine: Engine, tiny_bundle: TinyBundle
) -> None:
    async def swap() -> None:
        slot = Slot(engine)
        freshness = Freshness(slot, 30)
        waiting = asyncio.create_task(freshness.reach(asking_for(1)))
        await asyncio.sleep(0)
        with Engine.open(tiny_bundle.folder) as other:
            slot.engine = other
            engine.close()
            await asyncio.sleep(0)
            assert not waiting.done()
            other.apply([UpsertNode("a", "json")])
            await waiting

    asyncio.run(swap())


def test_the_end_ends_the_wait(engine: Engine) -> None:
    async def end() -> None:
        waiting = asyncio.create_task(Freshness(Slot(engine), 30).reach(asking_for(1)))
        await asyncio.sleep(0)
        engine.close()
        with pytest.raises(NotReadyError, match="shutting down"):
            await waiting

    asyncio.run(end())
