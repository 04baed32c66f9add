"""The tools, asked by the official SDK's client over a real server."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import jsonschema  # type: ignore[import-untyped]
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from service.app import create_app
from service.http.access import Role, add_key
from service.settings import Settings
from tests.bundles import LABELS, TinyBundle, write_tiny_bundle
from tests.http_servers import serve
from understudy.engine import Engine, Node
from understudy.engine.errors import InferenceError
from understudy.engine.explanations import explain

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
HEADERS = {"accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def engine(tiny_bundle: TinyBundle) -> Engine:
    return Engine.open(tiny_bundle.folder)


@pytest.fixture(scope="module")
def url(engine: Engine) -> Iterator[str]:
    address, stop = serve(create_app(engine, Settings(mcp=True)))
    yield address
    stop()


def talk(url: str, ask: Callable[[Client], Awaitable[Any]], mode: str = "auto") -> Any:
    async def run() -> Any:
        async with Client(f"{url}/mcp", mode=mode) as client:
            return await ask(client)

    return asyncio.run(run())


def call(url: str, tool: str, **arguments: object) -> Any:
    return talk(url, lambda client: client.call_tool(tool, arguments))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_tools_say_what_they_take_and_give(url: str, mode: str) -> None:
    tools = {tool.name: tool for tool in talk(url, lambda c: c.list_tools(), mode).tools}
    assert set(tools) == {"classify", "neighbors", "explain"}
    for tool in tools.values():
        assert all(label in (tool.description or "") for label in LABELS)
        assert tool.input_schema["type"] == "object"
        for schema in (tool.input_schema, tool.output_schema):
            jsonschema.Draft202012Validator.check_schema(schema)


def test_it_classifies(url: str, engine: Engine) -> None:
    nodes = [{"id": "node-1"}, {"text": "http", "neighbors": ["node-2"]}, {"id": "nobody"}]
    result = call(url, "classify", nodes=nodes, top_k=2)
    assert not result.is_error
    assert json.loads(result.content[0].text) == result.structured_content
    stored, unseen, refused = result.structured_content["predictions"]
    expected = engine.classify([Node(id="node-1"), Node(text="http", neighbors=("node-2",))])
    assert [stored["label"], unseen["label"]] == [each.label for each in expected]
    assert len(stored["top"]) == 2
    assert refused["error"]["code"] == "unknown_node"


def test_it_shows_neighbors(url: str, engine: Engine) -> None:
    result = call(url, "neighbors", id="node-0", limit=3).structured_content
    view = engine.state.graph
    near = [view.id(row) for row in view.neighbors(0).tolist()]
    assert (result["id"], result["degree"], result["text"]) == ("node-0", len(near), view.text(0))
    names = [entry["id"] for entry in result["neighbors"]]
    assert names == near[:3]
    answers = engine.classify([Node(id=name) for name in names])
    assert [entry["label"] for entry in result["neighbors"]] == [each.label for each in answers]


def test_it_explains(url: str, engine: Engine) -> None:
    result = call(url, "explain", nodes=[{"id": "node-3"}]).structured_content
    (expected,) = explain(engine, [Node(id="node-3")])
    found = result["predictions"][0]["explanation"]
    falls = {entry["id"]: entry["log_odds"] for entry in found["neighbors"]}
    assert falls == pytest.approx({i.id: i.log_odds for i in expected.neighbors}, abs=1e-4)


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("classify", {"nodes": []}, "invalid_field: nodes"),
        ("classify", {"nodes": [{"id": "nobody"}]}, "nobody"),
        ("classify", {"nodes": [{"id": "nobody"}]}, "unknown_node: "),
        ("explain", {"nodes": [{"text": " "}]}, "empty_text: "),
        ("neighbors", {"id": "nobody"}, "unknown_node"),
        ("neighbors", {"id": "node-1", "limit": 0}, "invalid_field: limit"),
        ("explain", {"nodes": [{"id": "node-1"}] * 17}, "at most 16"),
    ],
)
def test_a_bad_question_is_told_to_the_model(
    url: str, tool: str, arguments: dict[str, object], words: str
) -> None:
    result = call(url, tool, **arguments)
    assert result.is_error
    assert words in result.content[0].text


def test_a_failure_of_ours_is_in_the_log(
    url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise InferenceError("the student's networks failed")

    monkeypatch.setattr(engine, "infer", fail)
    result = call(url, "classify", nodes=[{"text": "http"}])
    assert result.content[0].text.startswith("inference_failed: ")
    (record,) = [r for r in caplog.records if r.name == "service.mcp.server"]
    assert record.levelname == "ERROR"


@pytest.mark.parametrize(
    ("arguments", "headers", "field"),
    [
        ('{"id": "node-1"}', {"x-timeout-seconds": "nan"}, "x-timeout-seconds"),
        ('{"id": "node-1"}', {"x-timeout-seconds": "0"}, "x-timeout-seconds"),
        ('{"id": "node-1", "id": "node-2"}', {}, "id"),
        ('{"id": "node-1"}, "arguments": {"id": "node-2"}', {}, "arguments"),
    ],
)
def test_what_would_be_passed_by_is_refused(
    url: str, arguments: str, headers: dict[str, str], field: str
) -> None:
    content = (
        '{"jsonrpc": "2.0", "id": 1, "method": "tools/call",'
        f' "params": {{"name": "neighbors", "arguments": {arguments}}}}}'
    )
    sent = {**HEADERS, **headers, "content-type": "application/json"}
    answer = httpx.post(f"{url}/mcp", content=content, headers=sent)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"] == {"field": field}
    cut = httpx.post(f"{url}/mcp", content=content[:-1], headers=sent | {"x-timeout-seconds": "9"})
    assert cut.status_code in (400, 422)


def test_an_unknown_tool_is_an_error_of_the_protocol(url: str) -> None:
    async def ask(client: Client) -> str:
        try:
            await client.call_tool("explode", {})
        except MCPError as error:
            return str(error)
        return ""

    assert talk(url, ask) == "there is no tool 'explode'"


@pytest.mark.parametrize(
    ("name", "message"),
    [("resources/list", "resources/list"), ("x" * 100_000, "x" * 100 + "…")],
)
def test_an_unknown_method_is_told_back_in_short(url: str, name: str, message: str) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": name}
    error = httpx.post(f"{url}/mcp", json=asked, headers=HEADERS).json()["error"]
    assert error == {"code": -32601, "message": "Method not found", "data": message}


def test_a_notification_of_an_unknown_method_is_no_failure(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent = {"jsonrpc": "2.0", "method": "x" * 100_000}
    assert httpx.post(f"{url}/mcp", json=sent, headers=HEADERS).status_code == 202
    talk(url, lambda client: client.list_tools())  # meanwhile it was read
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_guards_hold(url: str) -> None:
    with httpx.Client(base_url=url, headers=HEADERS) as client:
        assert client.post("/mcp", json=INITIALIZE).status_code == 200
        foreign = client.post("/mcp", json=INITIALIZE, headers={"origin": "http://evil.example"})
        assert (foreign.status_code, foreign.json()["error"]["code"]) == (403, "foreign_origin")
        elsewhere = client.post("/mcp", json=INITIALIZE, headers={"host": "evil.example"})
        assert elsewhere.status_code == 421
        later = {"x-min-graph-version": "1000", "x-timeout-seconds": "0.05"}
        waited = client.post("/mcp", json=INITIALIZE, headers=later)
        assert (waited.status_code, waited.json()["error"]["code"]) == (503, "version_not_reached")
        assert client.post("/mcp", json={"text": "x" * 2**20}).status_code == 413
        assert b'operation="mcp",status="200"' in client.get("/metrics").content


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_any_key_hears_that_one_posts(engine: Engine, tmp_path: Path, method: str) -> None:
    secret = add_key(tmp_path / "keys.json", "agent", Role.read)
    address, stop = serve(create_app(engine, Settings(mcp=True, keys_file=tmp_path / "keys.json")))
    try:
        headers = {"authorization": f"Bearer {secret}"}
        answer = httpx.request(method, f"{address}/mcp", headers=headers)
        assert (answer.status_code, answer.headers.get("allow")) == (405, "POST")
        assert httpx.request(method, f"{address}/mcp").status_code == 401
    finally:
        stop()


def test_keys_are_needed_where_there_are_any(engine: Engine, tmp_path: Path) -> None:
    secret = add_key(tmp_path / "keys.json", "agent", Role.read)
    address, stop = serve(create_app(engine, Settings(mcp=True, keys_file=tmp_path / "keys.json")))

    async def ask() -> Any:
        headers = {"authorization": f"Bearer {secret}"}
        async with httpx2.AsyncClient(headers=headers) as own:
            transport = streamable_http_client(f"{address}/mcp", http_client=own)
            async with Client(transport) as client:
                return await client.call_tool("neighbors", {"id": "node-1"})

    try:
        refused = httpx.post(f"{address}/mcp", json=INITIALIZE, headers=HEADERS)
        assert refused.status_code == 401
        assert asyncio.run(ask()).structured_content["id"] == "node-1"
    finally:
        stop()


def test_it_tells_the_model_that_answers_now(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    first = Engine.open(tiny_bundle.folder)
    other = Engine.open(write_tiny_bundle(tmp_path / "other", seed=5).folder)
    assert first.model_version != other.model_version
    app = create_app(first, Settings(mcp=True))
    address, stop = serve(app)

    def version() -> Any:
        answer = httpx.post(f"{address}/mcp", json=INITIALIZE, headers=HEADERS)
        return answer.json()["result"]["serverInfo"]["version"]

    try:
        before = version()
        app.parts.slot.engine = other  # as a reload does
        assert (before, version()) == (first.model_version, other.model_version)
    finally:
        stop()
        first.close()


def test_it_is_off_unless_asked_for(engine: Engine) -> None:
    address, stop = serve(create_app(engine, Settings()))
    try:
        assert httpx.post(f"{address}/mcp", json=INITIALIZE).status_code == 404
    finally:
        stop()
