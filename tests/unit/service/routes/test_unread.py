"""Parameters, bodies and repeated fields that no route reads are refused."""

import re

import httpx
import msgspec
import pytest
from fastapi import params

from service.app import ROUTES, create_app
from service.http.bodies import LARGE_BYTES
from service.settings import Settings
from tests.unit.service.routes.asking import talk
from understudy.engine import Engine

JSON_BODY = {"content-type": "application/json"}


def test_a_parameter_that_a_route_does_not_have_is_refused_and_named(engine: Engine) -> None:
    app = create_app(engine, Settings())
    needing = [r for r in ROUTES if any(isinstance(d, params.Security) for d in r.dependencies)]
    sent = [(method, r.path) for r in needing for method in sorted(r.methods or ())]
    assert len(sent) >= 25
    words = {"/nodes": "after, limit, label, split", "/nodes/{id:id}/similar": "k, label"}
    words["/search"] = "q, limit"

    async def ask(client: httpx.AsyncClient) -> None:
        for direct in (app.direct, {}):
            app.direct = direct
            for method, path in sent:
                full = re.sub(r"{\w+(:\w+)?}", "node-1", path) + "?limt=5"
                answer = await client.request(method, full)
                assert answer.status_code == 422, (method, path, answer.text)
                assert "limt" in answer.text
                assert words.get(path, "takes no parameters") in answer.text

    talk(app, ask)


def test_parameters_that_clients_add_to_every_request_are_passed_by(engine: Engine) -> None:
    app = create_app(engine, Settings())

    async def ask(client: httpx.AsyncClient) -> dict[str, int]:
        paths = (
            "/health/ready?limt=5",  # what probes, scrapers and links add
            "/metrics?limt=5",
            "/?node=node-1&limt=5",
            "/v1/models?api-version=preview",  # of clients that also ask Azure's servers
            "/v1/models?api-version=preview&api-version=2",
            "/nodes/node-1?api-version=preview",
            "/nodes/node-1/similar?k=3",
            "/nodes/node-1/similar?k=3&k=4",
            "/nodes/node-1/similar?k=0",
            "/nodes/node-1/similar?k=%FF",
        )
        return {path: (await client.get(path)).status_code for path in paths}

    statuses = talk(app, ask)
    assert list(statuses.values()) == [200, 200, 200, 200, 200, 422, 200, 422, 422, 400], statuses


UNHEARD: list[tuple[str, str, object]] = [
    ("DELETE", "/nodes/node-1", {"neighbors": ["node-2"]}),
    ("POST", "/admin/reload", {"bundle": "another"}),
    ("GET", "/nodes", {"limit": 5}),
    ("GET", "/nodes/node-1/similar", {"k": 5}),
    ("GET", "/graph", []),
]


@pytest.mark.parametrize(("method", "path", "body"), UNHEARD)
def test_a_body_that_nobody_reads_is_refused(
    engine: Engine, method: str, path: str, body: object
) -> None:
    app = create_app(engine, Settings())
    answer = talk(app, lambda client: client.request(method, path, json=body))
    assert (answer.status_code, "takes no body" in answer.text) == (422, True)
    assert engine.state.graph.row_of("node-1") is not None
    assert engine.state.version == 0


@pytest.mark.parametrize("content", [b"", b"{}", b" null\n"])
def test_a_body_that_says_nothing_is_none(engine: Engine, content: bytes) -> None:
    app = create_app(engine, Settings())

    async def ask(client: httpx.AsyncClient) -> list[int]:
        options = {"content": content, "headers": JSON_BODY}
        sent = [("GET", "/nodes/node-1/similar"), ("DELETE", "/nodes/node-1")]
        return [(await client.request(*each, **options)).status_code for each in sent]  # type: ignore[arg-type]

    assert talk(app, ask) == [200, 200]


TWICE = [
    ("PUT", "/nodes/new", '{"text": "http", "text": "json"}', "text"),
    ("POST", "/edges", '{"source": "node-1", "target": "node-2", "source": "node-3"}', "source"),
    (
        "POST",
        "/mutations",
        '{"mutations": [{"kind": "delete_node", "id": "node-1"}],'
        ' "mutations": [{"kind": "delete_node", "id": "node-2"}]}',
        "mutations",
    ),
    (
        "POST",
        "/mutations",
        '{"mutations": [{"kind": "delete_node", "id": "node-1", "\\u0069d": "node-2"}]}',
        "id",
    ),
]


@pytest.mark.parametrize(("method", "path", "content", "field"), TWICE)
@pytest.mark.parametrize("blanks", [0, LARGE_BYTES])
def test_a_change_that_says_a_thing_twice_is_refused(
    engine: Engine, method: str, path: str, content: str, field: str, blanks: int
) -> None:
    app = create_app(engine, Settings())
    body = content + " " * blanks
    answer = talk(app, lambda client: client.request(method, path, content=body, headers=JSON_BODY))
    assert (answer.status_code, answer.json()["error"]["details"]) == (422, {"field": field})
    assert engine.state.version == 0


UNSEEN_TWICE = [
    ('{"nodes": [{"text": "http", "text": "sprite"}]}', "text"),
    ('{"nodes": [{"id": "node-1"}, {"text": "a", "neighbors": [], "neighbors": []}]}', "neighbors"),
    ('{"nodes": [{"text": "http"}], "\\u006eodes": [{"text": "sprite"}]}', "nodes"),
]


@pytest.mark.parametrize(("content", "field"), UNSEEN_TWICE)
@pytest.mark.parametrize("path", ["/classify", "/classify/teacher", "/compare"])
@pytest.mark.parametrize("blanks", [0, LARGE_BYTES])
def test_an_unseen_node_that_says_a_thing_twice_is_refused(
    engine: Engine, path: str, content: str, field: str, blanks: int
) -> None:
    """No answer would show which of both was read."""
    app = create_app(engine, Settings())
    body = content + " " * blanks

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        answers = []
        for direct in (app.direct, {}):
            app.direct = direct
            answers.append(await client.post(path, content=body, headers=JSON_BODY))
        return answers

    for answer in talk(app, ask):
        assert (answer.status_code, answer.json()["error"]["details"]) == (422, {"field": field})


QUESTIONS = (
    '[{"type": "choice", "instructions": "?", "choices": [{"value": "net"}, {"value": "games"%s}]}]'
)
ELSEWHERE = [
    ("/predict", '{"inputs": "http", "inputs": "sprite"}', "inputs"),
    (
        "/predict",
        r'{"inputs": "{\"node\": {\"id\": \"node-1\", \"id\": \"node-2\"}}"}',
        "inputs.id",
    ),
    ("/classify", '{"input": "http", "input": "sprite"}', "input"),
    ("/v1/embeddings", '{"input": "http", "input": "sprite"}', "input"),
    ("/v1/embeddings", '{"input": [{"id": "node-1", "id": "node-2"}]}', "id"),
    (
        "/v1/decisions",
        '{"model": "m", "input": "a", "input": "b", "questions": %s}' % (QUESTIONS % ""),
        "input",
    ),
    (
        "/v1/decisions",
        '{"model": "m", "input": "a", "questions": %s}' % (QUESTIONS % ', "value": "editors"'),
        "value",
    ),
    (
        "/v1/systemone",
        '{"model": "m", "state": "a", "state": "b", "questions": {"q": {"type": "choice",'
        ' "criteria": {"net": null, "games": null}}}}',
        "state",
    ),
    (
        "/v1/systemone",
        '{"model": "m", "state": "a", "questions": {"q": {"type": "choice",'
        ' "criteria": {"net": null, "games": null, "net": "the other"}}}}',
        "net",
    ),
    (
        "/v1/chat/completions",
        '{"model": "m", "guided_choice": ["net", "games"],'
        ' "messages": [{"role": "user", "content": "http", "content": "sprite"}]}',
        "content",
    ),
    (
        "/v2/models/tiny-hashing/infer",
        '{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES",'
        ' "data": ["a"], "data": ["b"]}]}',
        "data",
    ),
]


@pytest.mark.parametrize(("path", "content", "field"), ELSEWHERE)
def test_on_every_wire_a_thing_that_is_said_twice_is_refused(
    engine: Engine, path: str, content: str, field: str
) -> None:
    app = create_app(engine, Settings())
    answer = talk(app, lambda client: client.post(path, content=content, headers=JSON_BODY))
    assert answer.status_code == 422
    assert "given more than once in one object" in answer.text
    assert field in answer.text


def test_fields_that_nobody_reads_may_hold_any_json_and_nothing_else(engine: Engine) -> None:
    """They are passed on to an upstream, where there is one."""
    app = create_app(engine, Settings())
    whole = '{"model": "m", "input": "a", "questions": %s, "extra": %%s}' % (QUESTIONS % "")

    async def ask(client: httpx.AsyncClient) -> list[int]:
        extras = ("9" * 5_000, "-1e999", "[" * 400 + "]" * 400, "[" * 100_000, "01", "'a'")
        sent = (client.post("/v1/decisions", content=whole % e, headers=JSON_BODY) for e in extras)
        return [(await each).status_code for each in sent]

    assert talk(app, ask) == [200, 200, 200, 400, 400, 400]


def test_a_refusal_is_counted_by_the_code_that_the_client_is_told(engine: Engine) -> None:
    app = create_app(engine, Settings())
    answer = talk(app, lambda client: client.post("/classify", json={"nodes": [{"id": "nobody"}]}))
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_node")
    assert app.parts.metrics.rejections.values == {("unknown_node",): 1}


@pytest.mark.parametrize("name", ["idempotency-key", "x-min-graph-version", "x-timeout-seconds"])
def test_a_header_that_means_one_thing_comes_once(engine: Engine, name: str) -> None:
    app = create_app(engine, Settings())
    sent = [("content-type", "application/json"), (name, "1"), (name, "2")]
    body = msgspec.json.encode({"text": "http"})
    answer = talk(app, lambda client: client.put("/nodes/new", content=body, headers=sent))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed_http")
    assert engine.state.version == 0


@pytest.mark.parametrize("seconds", ["soon", "nan", "0", "-1", "", "1_0"])
def test_a_bad_time_is_refused_where_nothing_is_waited_for_too(
    engine: Engine, seconds: str
) -> None:
    app = create_app(engine, Settings())
    sent = {"x-timeout-seconds": seconds}

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        answers = [await client.get("/nodes/node-1", headers=sent)]
        for direct in (app.direct, {}):
            app.direct = direct
            body = {"nodes": [{"id": "node-1"}]}
            answers.append(await client.post("/classify", json=body, headers=sent))
        return answers

    for answer in talk(app, ask):
        assert answer.status_code == 422
        assert answer.json()["error"]["details"] == {"field": "x-timeout-seconds"}


def test_more_neighbors_than_a_change_may_have_are_refused_as_what_was_sent(
    engine: Engine,
) -> None:
    app = create_app(engine, Settings(max_mutations=3))

    async def put(client: httpx.AsyncClient) -> list[httpx.Response]:
        near = [f"node-{number}" for number in range(1, 4)]
        bodies = ({"text": "http", "neighbors": near[:count]} for count in (3, 2))
        return [await client.put("/nodes/new", json=body) for body in bodies]

    refused, made = talk(app, put)
    assert (refused.status_code, made.status_code) == (422, 200)
    assert refused.json()["error"]["details"] == {"field": "neighbors"}
    assert "at most 2 per request" in refused.json()["error"]["message"]


@pytest.mark.parametrize("timeout", ["-1", "1.5", "true", "1e300", str(2**64), f"1{'0' * 400}"])
def test_a_tensor_request_s_timeout_is_microseconds(engine: Engine, timeout: str) -> None:
    content = (
        '{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["http"]}],'
        f' "parameters": {{"timeout": {timeout}}}}}'
    )
    app, path = create_app(engine, Settings()), "/v2/models/tiny-hashing/infer"
    answer = talk(app, lambda client: client.post(path, content=content, headers=JSON_BODY))
    assert answer.status_code == 422
    assert "parameters.timeout" in answer.json()["error"]
