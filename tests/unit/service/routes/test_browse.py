"""Pages of nodes, search, and surroundings of a node, over HTTP."""

import asyncio
import threading
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from service.app import Service, create_app
from service.settings import Settings
from tests.bundles import LABELS, TinyBundle
from tests.unit.service.routes.asking import talk
from understudy.engine import Engine
from understudy.graph.mutations import UpsertNode

LOCAL = "http://localhost"


@pytest.fixture
def app(tiny_bundle: TinyBundle) -> Service:
    return create_app(Engine.open(tiny_bundle.folder), Settings())


@pytest.fixture
def client(app: Service) -> TestClient:
    return TestClient(app, base_url=LOCAL)


def refused(response: Any, status: int = 422) -> Any:
    assert response.status_code == status, response.text
    return response.json()["error"]


def test_a_node_is_told_with_its_label_or_none(
    app: Service, client: TestClient, tiny_bundle: TinyBundle
) -> None:
    app.parts.slot.engine.apply([UpsertNode("new", "a text")])
    near = client.get("/nodes/node-1/neighbors").json()["neighbors"]
    known = client.get("/nodes/node-1").json()
    assert (known["id"], known["label"], known["degree"]) == ("node-1", LABELS[1], len(near))
    assert known["text"] == tiny_bundle.graph.texts[1].as_py()
    assert known["graph_version"] == 1
    assert client.get("/nodes/new").json()["label"] is None


def test_pages_follow_one_another_to_the_end(client: TestClient, tiny_bundle: TinyBundle) -> None:
    after, seen = "", []
    while after is not None:
        page = client.get("/nodes", params={"after": after, "limit": 13}).json()
        seen += page["nodes"]
        after = page["next"]
    assert [node["id"] for node in seen] == sorted(f"node-{node}" for node in range(40))
    first = next(node for node in seen if node["id"] == "node-1")
    assert first == {
        "id": "node-1",
        "text": tiny_bundle.text(1),
        "label": "editors",
        "split": "train",
        "degree": len(tiny_bundle.neighbors(1)),
    }


def test_a_full_last_page_has_no_next(client: TestClient) -> None:
    assert client.get("/nodes?limit=40").json()["next"] is None
    assert client.get("/nodes?limit=39").json()["next"] == "node-8"
    assert len(client.get("/nodes?label=games&split=test").json()["nodes"]) == 5


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=many", "limit"),
        ("limit=3&limit=4", "limit"),
        ("page=2", "page"),
        ("label=nets", "label"),
        ("split=training", "split"),
    ],
)
def test_a_wrong_query_names_its_field(client: TestClient, query: str, field: str) -> None:
    error = refused(client.get(f"/nodes?{query}"))
    assert (error["code"], error["details"]["field"]) == ("invalid_field", field)


def test_a_query_that_is_not_utf8_is_malformed(client: TestClient) -> None:
    assert refused(client.get("/search?q=%ff"), 400)["code"] == "malformed_path"
    assert refused(client.get("/search"))["details"]["field"] == "q"


def test_what_is_found_has_the_students_answer(
    client: TestClient, app: Service, tiny_bundle: TinyBundle
) -> None:
    app.parts.slot.engine.apply([UpsertNode("sheet music", "null")])
    assert [n["id"] for n in client.get("/search?q=null").json()["nodes"]] == ["sheet music"]
    found = client.get("/search?q=node-1&limit=1").json()
    (node,) = found["nodes"]
    answer = client.post("/classify", json={"nodes": [{"id": "node-1"}]}).json()
    (prediction,) = answer["predictions"]
    assert (node["predicted"], node["score"]) == (prediction["label"], prediction["score"])
    assert node["title"] == tiny_bundle.text(1)
    assert node["degree"] == len(tiny_bundle.neighbors(1))
    assert found["graph_version"] == 1


def test_surroundings_hold_the_node_first_and_no_unknown_one(client: TestClient) -> None:
    body = {"id": "node-3", "limit": 2, "beside": ["nobody", "node-0"]}
    shown = client.post("/surroundings", json=body).json()
    names = [node["id"] for node in shown["nodes"]]
    assert names[0] == "node-3"
    assert len(names) == 3
    assert "node-0" not in names
    assert {"node-0", "node-3"} in [set(edge) for edge in shown["edges"]]
    assert all(node["predicted"] in LABELS for node in shown["nodes"])
    assert refused(client.post("/surroundings", json={"id": "nobody"}), 404)
    assert refused(client.post("/surroundings", json={**body, "limit": 401}))


def test_another_bundle_has_another_directory(app: Service, tiny_bundle: TinyBundle) -> None:
    directory = app.parts.directory
    first = app.parts.slot.engine.state.graph
    assert directory.search(first) is directory.search(first)
    assert directory.listing(first) is directory.listing(first)
    other = Engine.open(tiny_bundle.folder).state.graph
    assert directory.search(other).base is other.parts.base
    assert directory.listing(other).base is other.parts.base


def test_lists_and_searches_are_waited_for_no_longer_than_is_wished_and_not_by_too_many(
    app: Service,
) -> None:
    asked: tuple[tuple[str, str, Any], ...] = (
        ("GET", "/nodes", None),
        ("GET", "/search?q=http", None),
        ("GET", "/nodes/node-1/similar", None),
        ("POST", "/surroundings", {"id": "node-1"}),
        ("POST", "/v1/embeddings", {"input": "node-1"}),
    )

    async def ask(client: httpx.AsyncClient) -> list[set[tuple[int, str | None]]]:
        gate = threading.Event()
        held = asyncio.create_task(app.parts.executor.run(gate.wait))
        await asyncio.sleep(0)
        pages = []
        for most in (100, 1):
            app.parts.executor.most = most
            soon = {"x-timeout-seconds": "0.02"}
            sent = [client.request(m, path, json=body, headers=soon) for m, path, body in asked]
            answers = [await each for each in sent]
            pages.append({(a.status_code, a.headers.get("retry-after")) for a in answers})
        gate.set()
        await held
        return pages

    assert talk(app, ask) == [{(504, None)}, {(429, "1")}]
