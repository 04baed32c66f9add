"""Routes in process: threads, the OpenAPI document, and what all protocols share."""

import asyncio
import gzip
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import APIRouter, params

from service.app import STRUCT_ROUTES, create_app
from service.errors import InvalidFieldError, MalformedJsonError
from service.http.bodies import LARGE_BYTES, LARGE_ITEMS, wanted_encoding
from service.http.exchange import item_reader, whole_reader
from service.http.gateway import Direct
from service.messages import ClassifyRequest, CompareRequest
from service.routes.admin import Status
from service.routes.graph import MutationsBody
from service.routes.structs import StructRoute
from service.settings import Settings
from tests.bundles import rewrite, write_tiny_bundle
from tests.unit.service.routes.asking import get, talk
from understudy.engine import Engine, Node
from understudy.engine.requests import Resolution
from understudy.engine.student import Inference
from understudy.graph.mutations import DeleteNode

JSON_BODY = {"content-type": "application/json"}


def test_the_document_runs_a_network_once_and_off_the_event_loop(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer, threads = engine.infer, list[str]()

    def noted(resolution: Resolution) -> Inference:
        threads.append(threading.current_thread().name)
        return infer(resolution)

    monkeypatch.setattr(engine, "infer", noted)
    app = create_app(engine, Settings())
    for changes, inferences in ((0, 1), (0, 1), (1, 2), (1, 2)):
        if engine.state.version < changes:
            engine.apply([DeleteNode("node-0")])
        content = get(app, "/openapi.json")["paths"]["/classify"]["post"]
        example = content["responses"]["200"]["content"]["application/json"]["example"]
        assert example["graph_version"] == changes
        assert example["predictions"][0]["id"] == f"node-{changes}"
        assert threads == ["executor_0"] * inferences


def test_what_the_gateway_answers_directly_is_asked_for_as_the_document_says(
    engine: Engine,
) -> None:
    app = create_app(engine, Settings())
    assert app.direct
    for (method, path), direct in app.direct.items():
        (route,) = [r for r in STRUCT_ROUTES if r.path == path and method in (r.methods or ())]
        assert isinstance(direct, Direct)
        assert direct.operation == route.operation_id == route.name
        roles = [d.scopes for d in route.dependencies if isinstance(d, params.Security)]
        assert roles == [[direct.role.name]]
        assert direct.body in [d.call for d in route.dependant.dependencies]
        assert direct.read_query == route.query.read


def test_after_a_reload_the_document_is_about_the_new_bundle(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    write_tiny_bundle(folder)
    app = create_app(
        Engine.open(folder), Settings(), lambda before: Engine.open(folder, before=before)
    )
    assert get(app, "/openapi.json")["info"]["title"] == "Understudy: tiny-hashing"
    rewrite(folder, {}, name="renamed")
    assert talk(app, lambda client: client.post("/admin/reload")).status_code == 200
    content = get(app, "/openapi.json")
    assert content["info"]["title"] == "Understudy: renamed"
    assert content["info"]["version"] == get(app, "/info")["model_version"]
    infer = content["paths"]["/v2/models/{model}/versions/{version}/infer"]["post"]
    examples = {p["name"]: p.get("example") for p in infer["parameters"]}
    assert examples["model"] == "renamed"
    assert examples["version"] == content["info"]["version"]


class Shadow:
    """Notes whose answers were to be checked."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def shadow(self, _: object, __: object, predictions: list[object]) -> None:
        self.seen.append(len(predictions))


def test_a_stored_node_is_shadowed_whatever_the_protocol(engine: Engine) -> None:
    app, shadow = create_app(engine, Settings()), Shadow()
    app.parts.classifier.asking = shadow  # type: ignore[assignment]
    tensor = {"name": "id", "shape": [1], "datatype": "BYTES", "data": ["node-1"]}
    text = tensor | {"name": "text", "data": ["http"]}
    sent: list[tuple[str, object]] = [
        ("/classify", {"nodes": [{"id": "node-1"}]}),
        ("/classify", {"nodes": [{"text": "http"}]}),
        ("/v2/models/tiny-hashing/infer", {"inputs": [tensor]}),
        ("/v2/models/tiny-hashing/infer", {"inputs": [text]}),
    ]

    async def ask(client: httpx.AsyncClient) -> None:
        for path, body in sent:
            assert (await client.post(path, json=body)).status_code == 200

    talk(app, ask)
    assert shadow.seen == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "ids"}, "name"),
        ({"datatype": "INT64"}, "datatype"),
        ({"data": [1]}, "datatype"),
        ({"shape": [2]}, "shape"),
        ({"shape": [1, 1, 1]}, "shape"),
        ({"shape": [0], "data": []}, "shape"),
    ],
)
def test_a_tensor_that_is_no_row_of_texts_is_refused_by_its_field(
    engine: Engine, change: dict[str, object], field: str
) -> None:
    tensor = {"name": "id", "shape": [1], "datatype": "BYTES", "data": ["node-1"]} | change
    body = {"inputs": [tensor]}
    path = "/v2/models/tiny-hashing/infer"
    answer = talk(create_app(engine, Settings()), lambda client: client.post(path, json=body))
    assert answer.status_code == 422
    assert f"inputs.0.{field}" in answer.text


NODES = [{"id": "node-1"}, {"text": "http " * 4_000, "neighbors": ["node-1", "node-2"]}]


@pytest.mark.parametrize(("count", "characters"), [(2, LARGE_BYTES), (1_024, 1)])
def test_large_requests_are_resolved_off_the_event_loop(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, count: int, characters: int
) -> None:
    app, threads = create_app(engine, Settings()), set[str]()
    expected = engine.classify([Node(id="node-1")], 5)[0]
    resolve, predict = engine.resolve, engine.predict

    def noted(work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: object) -> Any:
            threads.add(threading.current_thread().name.partition("_")[0])
            return work(*arguments)

        return run

    monkeypatch.setattr(engine, "resolve", noted(resolve))
    monkeypatch.setattr(engine, "predict", noted(predict))
    nodes = [NODES[0]] * (count - 1) + [{"text": "x" * characters}]
    body = {"nodes": nodes, "top_k": 5}
    small = {"nodes": nodes[:1], "top_k": 4}
    assert count * 4 >= LARGE_ITEMS or len(msgspec.json.encode(body)) > LARGE_BYTES
    answer = talk(app, lambda client: client.post("/classify", json=body)).json()
    assert threads == {"executor"}
    assert len(answer["predictions"]) == count
    assert answer["predictions"][0]["top"] == list(msgspec.to_builtins(expected.top))
    threads.clear()
    talk(app, lambda client: client.post("/classify", json=small))
    assert threads == {"MainThread"}


READERS = {
    ClassifyRequest: [
        {"nodes": NODES, "route": "auto", "top_k": 3},
        {"nodes": []},
        {"nodes": [*NODES, {"text": 5}]},
        {"nodes": [*NODES, {"text": "x", "neighbors": ["a", 1]}]},
        {"nodes": [*NODES, {"colour": 1}]},
        {"nodes": [*NODES, 5]},
        {"nodes": "a"},
        {"nodes": NODES, "colour": 1},
        {"nodes": NODES, "top_k": 0},
        {"route": "student"},
        [],
    ],
    CompareRequest: [{"nodes": NODES, "top_k": 2}, {"nodes": [{"id": 1}]}, {}],
    MutationsBody: [
        {"mutations": [{"kind": "delete_node", "id": "a"}]},
        {"mutations": [{"kind": "upsert_node", "id": "a"}, {"kind": "explode"}]},
        {"mutations": [{"kind": "delete_node", "id": "a"}, {"kind": "delete_node", "id": ""}]},
        {"mutations": [{"kind": "add_edge", "source": "a"}]},
        {"mutations": []},
    ],
}


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in READERS.items() for value in values]
)
def test_a_body_read_item_by_item_is_the_same_body(kind: type[msgspec.Struct], value: Any) -> None:
    content = msgspec.json.encode(value)

    def outcome(read: Callable[..., Any]) -> object:
        try:
            return read(content, {})
        except InvalidFieldError as error:
            return str(error), error.details

    assert outcome(item_reader(kind)) == outcome(whole_reader(kind))


@pytest.mark.parametrize(
    "content",
    [b'{"nodes": [{"text": "\xff"}]}', b'{"nodes": [{"text": "\\ud800"}]}', b'{"nodes":[{]}'],
)
def test_what_is_no_json_is_refused_item_by_item_too(content: bytes) -> None:
    with pytest.raises(MalformedJsonError):
        item_reader(ClassifyRequest)(content, {})


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("", None),
        ("identity", None),
        ("br, zstd", None),
        ("gzip", "gzip"),
        ("gzip, deflate, br", "gzip"),
        ("deflate", "deflate"),
        ("GZIP;q=0.5", "gzip"),
        ("gzip;q=0", None),
        ("gzip; q=0.000, deflate", "deflate"),
        ("*", "gzip"),
        ("*;q=0", None),
        ("gzip;q=0, *", "deflate"),
        (",;q=,q", None),
    ],
)
def test_the_encoding_that_a_client_can_read(accepted: str, encoding: str | None) -> None:
    assert wanted_encoding(accepted) == encoding


DECODED: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


@pytest.mark.parametrize("count", [1, 20, 300])
@pytest.mark.parametrize("path", ["/classify", "/nodes/long/neighbors"])
def test_large_answers_are_compressed_where_asked(engine: Engine, path: str, count: int) -> None:
    app = create_app(engine, Settings())
    body = {"nodes": [{"id": "node-1"}] * count, "top_k": 4}

    async def ask(client: httpx.AsyncClient) -> list[bytes]:
        near = [f"node-{number}" for number in range(40)] if count > 1 else []
        await client.put("/nodes/long", json={"text": "http", "neighbors": near})
        contents = []
        for accepted in ("identity", "gzip", "deflate"):
            own = {"accept-encoding": accepted}
            method = "POST" if path == "/classify" else "GET"
            request = client.build_request(
                method, path, json=body if method == "POST" else None, headers=own
            )
            response = await client.send(request, stream=True)
            raw = b"".join([part async for part in response.aiter_raw()])
            assert int(response.headers["content-length"]) == len(raw)
            encoding = response.headers.get("content-encoding", "identity")
            decoded = DECODED[encoding](raw)
            assert encoding == (accepted if len(decoded) >= 1_024 else "identity")
            contents.append(decoded)
        return contents

    contents = talk(app, ask)
    assert len(set(contents)) == 1


def test_no_large_request_holds_the_event_loop_up(engine: Engine) -> None:
    """Megabytes of neighbours: the loop goes on turning between its pieces."""
    app = create_app(engine, Settings())
    near = [*(f"node-{number % 40}" for number in range(600)), "nobody"]
    content = msgspec.json.encode({"nodes": [{"text": "x", "neighbors": near}] * 900})
    turns = 0

    async def ask(client: httpx.AsyncClient) -> int:
        nonlocal turns
        large = asyncio.ensure_future(client.post("/classify", content=content, headers=JSON_BODY))
        while not large.done():
            await asyncio.sleep(0)
            turns += 1
        return (await large).status_code

    assert talk(app, ask) == 404
    assert turns > 100  # a few, were it done on the loop


def test_who_asks_for_health_or_figures_is_never_limited(engine: Engine) -> None:
    app = create_app(engine, Settings(rate_limit=0.001, rate_burst=1))

    async def ask(client: httpx.AsyncClient) -> list[int]:
        paths = ["/health/live", "/v2/health/ready", "/metrics"] * 3 + ["/info"] * 2
        return [(await client.get(path)).status_code for path in paths]

    assert talk(app, ask) == [200] * 10 + [429]


def test_a_refusal_for_want_of_room_is_counted_once_and_by_its_limit(engine: Engine) -> None:
    app = create_app(engine, Settings())
    app.parts.batcher.requests = app.parts.batcher.options.requests

    async def ask(client: httpx.AsyncClient) -> tuple[int, str]:
        answer = await client.post("/classify", json={"nodes": [{"text": "a node of its own"}]})
        return answer.status_code, answer.json()["error"]["code"]

    assert talk(app, ask) == (429, "overloaded")
    assert app.parts.metrics.rejections.values == {("queue_full",): 1}


def test_a_route_says_who_may_ask() -> None:
    async def open_to_all() -> Status:
        return Status()

    router = APIRouter(route_class=StructRoute)
    with pytest.raises(TypeError, match="who may ask"):
        router.add_api_route("/open", open_to_all)


@pytest.mark.parametrize(
    "body",
    [{"nodes": [{"id": "node-1"}] * 30}, {"nodes": [{"id": "nobody"}]}, {"nodes": []}, [], None],
)
def test_the_direct_route_answers_as_the_routed_one(engine: Engine, body: object) -> None:
    app = create_app(engine, Settings())

    async def ask(client: httpx.AsyncClient) -> list[tuple[int, bytes, set[str]]]:
        answers = []
        for direct in (app.direct, {}):
            app.direct = direct
            answer = await client.post("/classify", json=body, headers=JSON_BODY)
            answers.append((answer.status_code, answer.content, set(answer.headers)))
        return answers

    direct, routed = talk(app, ask)
    assert direct == routed
