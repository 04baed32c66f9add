"""Errors of a field with fixed values list these values."""

from typing import Any

import pytest
from starlette.testclient import TestClient

NODES = [{"id": "node-1"}]
ROUTES = "one of auto, student, teacher"
KINDS = "one of add_edge, delete_node, remove_edge, upsert_node"


@pytest.mark.parametrize(
    ("path", "body", "field", "words"),
    [
        ("/classify", {"nodes": NODES, "route": "best"}, "route", ROUTES),
        ("/classify", {"nodes": NODES, "route": None}, "route", ROUTES),
        ("/classify", {"nodes": NODES, "route": "a" * 1_000}, "route", ROUTES),
        ("/mutations", {"mutations": [{"kind": "x"}]}, "mutations.0.kind", KINDS),
        ("/mutations", {"mutations": [{"id": "x"}]}, "mutations.0.kind", KINDS),
        (
            "/v1/embeddings",
            {"model": "", "input": "json", "encoding_format": "x"},
            "encoding_format",
            "one of base64, float",
        ),
        (
            "/v1/decisions",
            {"model": "", "input": "json", "questions": [{"type": "choise"}]},
            "questions.0.type",
            "one of choice, predicate, score",
        ),
    ],
)
def test_an_error_lists_the_values(
    client: TestClient, path: str, body: dict[str, Any], field: str, words: str
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["message"].startswith(f"{field}: ")
    assert error["message"].endswith(words)


def test_an_unknown_field_is_no_matter_of_values(client: TestClient) -> None:
    change = {"kind": "delete_node", "id": "x", "label": "y"}
    error = client.post("/mutations", json={"mutations": [change]}).json()["error"]
    assert error["message"] == "mutations.0.label: object contains unknown field `label`"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"nodes": [{"text": "a", "neighbours": ["node-1"]}]},
            "nodes.0.neighbours: object contains unknown field `neighbours`; known are id, text, "
            "neighbors",
        ),
        ({"node": NODES}, "node: object contains unknown field `node`; known are nodes, "),
    ],
)
def test_a_misspelt_field_is_told_the_known_ones(
    client: TestClient, body: dict[str, Any], message: str
) -> None:
    error = client.post("/classify", json=body).json()["error"]
    assert error["message"].startswith(message)


def test_a_question_among_named_ones_has_values_too(client: TestClient) -> None:
    body = {"model": "", "state": "json", "questions": {"which": {"type": "choise"}}}
    answer = client.post("/v1/systemone", json=body)
    assert answer.status_code == 422
    assert "invalid value 'choise': one of choice, noul, score" in answer.text
