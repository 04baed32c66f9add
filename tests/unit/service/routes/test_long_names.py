"""Long names: stored and returned ones are bounded, and no error repeats them."""

from typing import Any

import pytest
from starlette.testclient import TestClient

LONG = "a" * 1_000_000
MOST_TOLD = 2_000  # bytes
NODE = {"id": "node-1"}
TENSOR = {"name": "id", "shape": [1], "datatype": "BYTES", "data": ["node-1"]}
CHOICES = [{"value": "games"}, {"value": "net"}]


def question(name: str) -> dict[str, Any]:
    return {"type": "choice", "name": name, "instructions": "Which?", "choices": CHOICES}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/classify", {"nodes": [NODE], LONG: 1}, 422, "unknown field"),
        ("POST", "/classify", {"nodes": [{**NODE, LONG: 1}]}, 422, "nodes.0.aaa"),
        ("POST", "/classify", {"nodes": [NODE], "route": LONG}, 422, "route: invalid enum value"),
        ("POST", "/classify", {"nodes": [{"id": LONG, "text": "json"}]}, 422, "length <= 65536"),
        ("POST", "/classify", {"nodes": [{"id": LONG}]}, 422, "nodes.0.id"),
        ("POST", "/mutations", {"mutations": [{"kind": LONG}]}, 422, "mutations.0.kind"),
        ("PUT", f"/nodes/{LONG[:3_000]}", {"text": "json"}, 422, "at most 2,048"),
        ("PUT", "/nodes/a", {"text": "json", "label": LONG}, 422, "no label"),
        ("PUT", "/nodes/a", {"text": "json", "neighbors": [LONG]}, 404, "no stored node"),
        ("POST", "/edges", {"source": LONG, "target": LONG}, 404, "no stored node"),
        ("GET", f"/nodes?{LONG[:30_000]}=1", None, 422, "unknown query parameter"),
        ("GET", f"/nodes?label={LONG[:30_000]}", None, 422, "see /info"),
        ("GET", f"/nodes?split={LONG[:30_000]}", None, 422, "the splits are: "),
        ("POST", "/v2/models/tiny-hashing/infer", {"id": LONG, "inputs": [TENSOR]}, 422, "2048"),
        (
            "POST",
            "/v1/decisions",
            {"model": "", "input": "json", "questions": [question(LONG)]},
            422,
            "questions.0.name",
        ),
        (
            "POST",
            "/v1/systemone",
            {
                "model": "",
                "state": "json",
                "questions": {LONG: {"type": "choice", "criteria": {"games": None, "net": None}}},
            },
            422,
            "length <= 2048 as each name",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_long_name_is_refused_in_few_words(
    client: TestClient, method: str, path: str, body: Any, status: int, words: str
) -> None:
    answer = client.request(method, path, json=body)
    assert answer.status_code == status
    assert len(answer.content) < MOST_TOLD
    assert words in answer.text


def test_names_within_the_bounds_are_told_back(client: TestClient) -> None:
    name = "é" * 2_048
    classified = client.post("/classify", json={"nodes": [{"id": "é" * 65_536, "text": "json"}]})
    assert classified.json()["predictions"][0]["id"] == "é" * 65_536
    infer = client.post("/v2/models/tiny-hashing/infer", json={"id": name, "inputs": [TENSOR]})
    assert infer.json()["id"] == name
    decided = client.post(
        "/v1/decisions", json={"model": "", "input": "json", "questions": [question(name)]}
    )
    assert decided.json()["answers"][0]["name"] == name
