"""`explain` over HTTP: the engine's explanations, in few batches, within limits."""

from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from service.app import Service, create_app
from service.settings import Settings
from tests.bundles import TinyBundle
from understudy.engine import Engine, Node
from understudy.engine.explanations import explain
from understudy.engine.requests import Resolution
from understudy.engine.student import Inference

NODES: list[dict[str, Any]] = [
    {"id": "node-0"},
    {"id": "nobody"},
    {"text": "http json", "neighbors": ["node-1", "node-2"]},
]


def post(app: Service, body: object, path: str = "/classify") -> Any:
    with TestClient(app, base_url="http://localhost") as client:
        return client.post(path, json=body)


@pytest.fixture
def engine(any_bundle: TinyBundle) -> Engine:
    return Engine.open(any_bundle.folder)


def test_every_answer_is_explained_and_a_bad_node_is_not(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = explain(engine, [Node(id="node-0"), Node(**NODES[2])])
    infer, sizes = engine.infer, list[int]()

    def noted(resolution: Resolution) -> Inference:
        sizes.append(len(resolution.unseen))
        return infer(resolution)

    monkeypatch.setattr(engine, "infer", noted)
    answer = post(create_app(engine, Settings()), {"nodes": NODES, "explain": True})
    assert answer.status_code == 200
    stored, refused, unseen = answer.json()["predictions"]
    assert "explanation" not in refused
    for prediction, explanation in zip((stored, unseen), expected, strict=True):
        found = msgspec.convert(prediction["explanation"], type(explanation))
        assert found.label == prediction["label"]
        assert found.log_odds == pytest.approx(explanation.log_odds, abs=1e-4)
        falls = {influence.id: influence.log_odds for influence in found.neighbors}
        assert falls == pytest.approx({i.id: i.log_odds for i in explanation.neighbors}, abs=1e-4)
    parts = sum(
        len(explanation.neighbors) + len(explanation.words or ()) for explanation in expected
    )
    assert sizes == [1, parts]  # the unseen node, then all that is left out in one batch
    assert float(answer.headers["x-inference-time"]) > 0


def test_a_plain_answer_has_no_word_of_it_and_not_its_limit(engine: Engine) -> None:
    engine.limits = Settings(max_explained_nodes=1).limits
    answer = post(create_app(engine, Settings()), {"nodes": NODES})
    assert answer.status_code == 200
    assert b"explanation" not in answer.content


@pytest.mark.parametrize(
    ("body", "path", "field"),
    [
        ({"nodes": NODES, "explain": True, "route": "auto"}, "/classify", "explain"),
        ({"nodes": NODES, "explain": True}, "/classify/teacher", "explain"),
        ({"nodes": NODES * 2, "explain": True}, "/classify", "nodes"),
        ({"nodes": NODES, "explain": 1}, "/classify", "explain"),
    ],
)
def test_what_cannot_be_explained_is_refused(
    engine: Engine, body: object, path: str, field: str
) -> None:
    engine.limits = Settings(max_explained_nodes=5).limits
    answer = post(create_app(engine, Settings()), body, path)
    assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (422, field)


def test_a_deadline_holds_for_what_is_left_out(engine: Engine) -> None:
    app = create_app(engine, Settings())
    with TestClient(app, base_url="http://localhost") as client:
        short = {"x-timeout-seconds": "0.000001"}
        body = {"nodes": [{"id": "node-0"}], "explain": True}
        answer = client.post("/classify", json=body, headers=short)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_passed")
    assert "within 0 s" not in answer.json()["error"]["message"]  # the time that it has taken
