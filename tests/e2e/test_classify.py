"""POST /classify of a real server process."""

import itertools
import json
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from tests.bundles import NODES, TinyBundle
from tests.e2e.conftest import POST_CLASSIFY, Service, received

NEVER_SAID = ("Traceback", "site-packages", ".py", "Error(")


def scores(prediction: dict[str, object]) -> dict[str, float]:
    top = prediction["top"]
    assert isinstance(top, list)
    return {entry["label"]: entry["score"] for entry in top}


def expected_scores(bundle: TinyBundle, node: int) -> dict[str, float]:
    exponents = np.exp(bundle.logits[node].astype(np.float64) / 2.0)
    pairs = zip(bundle.graph.label_names, exponents / exponents.sum(), strict=True)
    return {label: float(score) for label, score in pairs}


def test_a_stored_node(service: Service, tiny_bundle: TinyBundle) -> None:
    response = service.classify({"id": "node-7"}, top_k=4)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert set(answer) == {"model", "model_version", "graph_version", "predictions"}
    assert answer["model"] == "tiny-hashing"
    assert answer["graph_version"] == service.client.get("/nodes/node-7").json()["graph_version"]
    (prediction,) = answer["predictions"]
    assert scores(prediction) == pytest.approx(expected_scores(tiny_bundle, 7), abs=1e-5)
    best = prediction["top"][0]
    del prediction["top"]
    assert prediction == {
        "index": 0,
        "id": "node-7",
        "label": best["label"],
        "score": best["score"],
        "route": "student",
        "cached": False,
        "error": None,
    }


def test_every_stored_node_sent_as_unseen(service: Service, tiny_bundle: TinyBundle) -> None:
    copies = [
        {"text": tiny_bundle.text(node), "neighbors": tiny_bundle.neighbors(node)}
        for node in range(NODES)
    ]
    response = service.classify(*copies, top_k=4)
    assert response.status_code == 200
    for node, prediction in enumerate(response.json()["predictions"]):
        assert scores(prediction) == pytest.approx(expected_scores(tiny_bundle, node), abs=1e-4)


def test_a_mixed_batch_keeps_its_order_and_answers_the_good(service: Service) -> None:
    response = service.classify(
        {"id": "node-1"},
        {"id": "nobody"},
        {"text": "http socket", "neighbors": ["node-2", "node-4"]},
        {"id": "mine", "text": "sprite"},
        {"text": ""},
        {"text": "x", "neighbors": ["node-1", "nowhere"]},
        {},
        {"id": "node-1"},
    )
    assert response.status_code == 200
    predictions = response.json()["predictions"]
    assert [prediction["index"] for prediction in predictions] == list(range(8))
    codes = [prediction["error"] and prediction["error"]["code"] for prediction in predictions]
    assert codes == [
        None,
        "unknown_node",
        None,
        None,
        "empty_text",
        "unknown_neighbor",
        "incomplete_node",
        None,
    ]
    assert predictions[3]["id"] == "mine"
    assert predictions[0]["label"] == predictions[7]["label"]
    assert predictions[5]["error"]["details"] == {"neighbors": ["nowhere"]}


@pytest.mark.parametrize(
    ("node", "status", "code"),
    [
        ({"id": "nobody"}, 404, "unknown_node"),
        ({"text": "x", "neighbors": ["nobody"]}, 404, "unknown_neighbor"),
        ({"text": ""}, 422, "empty_text"),
        ({"text": " \n "}, 422, "empty_text"),
        ({"text": "x" * 200_000}, 422, "text_too_long"),
        ({"text": "x", "neighbors": ["node-1"] * 40_000}, 422, "too_many_neighbors"),
        ({}, 422, "incomplete_node"),
    ],
)
def test_a_bad_node_alone_is_a_bad_request(
    service: Service, node: object, status: int, code: str
) -> None:
    response = service.classify(node)
    assert response.status_code == status
    check_error(response, code)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", None),
        (b'{"nodes": [{"id": ', None),
        (b'{"nodes": [{"text": "\xff\xfe"}]}', None),
        (b"[]", ""),
        (b'{"nodes": []}', "nodes"),
        (b'{"nodes": [{"text": 5}]}', "nodes.0.text"),
        (b'{"nodes": [{"text": "x", "neighbors": [1]}]}', "nodes.0.neighbors.0"),
        (b'{"nodes": [{"id": "node-1", "colour": 1}]}', "nodes.0.colour"),
        (b'{"nodes": [{"id": "node-1"}], "top_k": 101}', "top_k"),
        (b'{"nodes": [{"id": "node-1"}], "route": "teacher"}', "route"),
        (json.dumps({"nodes": [{"id": "a"}] * 301}).encode(), "nodes"),
    ],
)
def test_a_bad_body_names_its_field_or_is_no_json(
    service: Service, body: bytes, field: str | None
) -> None:
    response = service.client.post("/classify", content=body)
    expected = (400, "malformed_json") if field is None else (422, "invalid_field")
    assert response.status_code == expected[0]
    assert check_error(response, expected[1]).get("field") == field


def test_a_text_of_ten_megabytes(service: Service) -> None:
    response = service.classify({"text": "x" * 10_000_000})
    assert response.status_code == 413
    check_error(response, "body_too_large")


def test_a_chunked_body_of_ten_megabytes(service: Service) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"nodes": [{"text": "'
        yield from itertools.repeat(b"x" * 100_000, 100)
        yield b'"}]}'

    response = service.client.post("/classify", content=chunks())
    assert response.status_code == 413
    check_error(response, "body_too_large")


def test_who_asks_for_leave_may_keep_a_large_body(service: Service) -> None:
    head = POST_CLASSIFY + b"content-length: 10000000\r\n"
    with service.raw_connection() as connection:
        connection.sendall(head + b"expect: 100-continue\r\n\r\n")
        answer = received(connection)  # all of it: the server closes
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in answer


def test_a_client_that_leaves_in_the_middle(service: Service) -> None:
    with service.raw_connection() as connection:
        connection.sendall(POST_CLASSIFY + b"content-length: 99\r\n\r\n{")


def test_unknown_paths_and_methods(service: Service) -> None:
    response = service.client.get("/nothing/here")
    assert response.status_code == 404
    check_error(response, "not_found")
    response = service.client.get("/classify")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    check_error(response, "method_not_allowed")
    assert "allowed here: POST" in response.json()["error"]["message"]


def test_request_ids_are_echoed_or_made(service: Service) -> None:
    body = {"nodes": [{"id": "node-1"}]}
    own = service.client.post("/classify", json=body, headers={"x-request-id": "abc-1"})
    assert own.headers["x-request-id"] == "abc-1"
    bad = service.client.post("/classify", json=body, headers={"x-request-id": "a b<c>"})
    assert bad.headers["x-request-id"] not in ("", "a b<c>")
    assert service.client.get("/nothing").headers["x-request-id"]


def test_headers_state_times(service: Service) -> None:
    stored, unseen = service.classify({"id": "node-1"}), service.classify({"text": "http"})
    for response in (stored, unseen):
        assert float(response.headers["x-total-time"]) > 0
    assert float(stored.headers["x-inference-time"]) == 0
    assert float(unseen.headers["x-encode-time"]) > 0
    assert float(unseen.headers["x-inference-time"]) > 0


def check_error(response: httpx.Response, code: str) -> dict[str, object]:
    """The one error body, with nothing of our inside in it; returns its details."""
    assert response.json().keys() == {"error"}
    error = response.json()["error"]
    assert error.keys() == {"code", "message", "details"}
    assert error["code"] == code
    assert error["message"]
    assert not any(word in response.text for word in NEVER_SAID)
    assert isinstance(error["details"], dict)
    return error["details"]


@pytest.fixture(autouse=True)
def lives_on(service: Service) -> Iterator[None]:
    """Whatever a test sent, the server answers afterwards."""
    yield
    assert service.process.poll() is None
    assert service.classify({"id": "node-1"}).status_code == 200
