"""A single small node is answered on the event loop; concurrent ones as a batch."""

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app import Service, create_app
from service.inference import at_once
from service.settings import Settings
from tests.bundles import TinyBundle, write_tiny_bundle
from understudy.engine import Engine, Node
from understudy.engine.requests import Resolution
from understudy.engine.student import Inference

LOOP, THREAD = "MainThread", "inference_0"
SMALL: dict[str, Any] = {"text": "http socket", "neighbors": ["node-1", "node-2"]}
Runs = list[tuple[str, int]]  # the thread of each inference, and its nodes


@pytest.fixture
def runs() -> Runs:
    return []


@pytest.fixture
def app(tiny_bundle: TinyBundle, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> Service:
    engine = Engine.open(tiny_bundle.folder)
    infer = engine.infer

    def noted(resolution: Resolution) -> Inference:
        runs.append((threading.current_thread().name, len(resolution.unseen)))
        return infer(resolution)

    monkeypatch.setattr(engine, "infer", noted)
    return create_app(engine, Settings())


def post(
    app: Service, *bodies: dict[str, Any], headers: Mapping[str, str] | None = None
) -> list[httpx.Response]:
    """The answers to requests that are sent together."""

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers=headers
        ) as client:
            asking = [client.post("/classify", json=body) for body in bodies]
            return list(await asyncio.gather(*asking))

    return asyncio.run(ask())


def test_one_small_node_is_answered_on_the_event_loop(app: Service, runs: Runs) -> None:
    (answer,) = post(app, {"nodes": [{"id": "node-3"}, SMALL]})
    assert runs == [(LOOP, 1)]
    engine = app.parts.slot.engine
    asked = [Node(id="node-3"), Node(text=SMALL["text"], neighbors=tuple(SMALL["neighbors"]))]
    expected = [(found.label, found.score) for found in engine.classify(asked)]
    found = [(one["label"], one["score"]) for one in answer.json()["predictions"]]
    assert found == expected
    assert float(answer.headers["x-inference-time"]) > 0
    assert float(answer.headers["x-queue-time"]) == 0
    figures = app.parts.metrics.render().decode()
    assert "understudy_batch_nodes_count 1.0" in figures
    assert 'understudy_predictions_total{route="student"} 2.0' in figures


def test_what_comes_together_is_a_batch(app: Service, runs: Runs) -> None:
    bodies = [{"nodes": [{**SMALL, "text": f"proof {number}"}]} for number in range(3)]
    assert all(answer.is_success for answer in post(app, *bodies))
    assert {thread for thread, _ in runs} == {THREAD}
    assert sum(nodes for _, nodes in runs) == 3


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"nodes": [SMALL, SMALL]}, {}),
        ({"nodes": [{**SMALL, "text": "word " * 201}]}, {}),
        ({"nodes": [{**SMALL, "neighbors": ["node-1", "node-2", "node-3"]}]}, {}),
        ({"nodes": [SMALL]}, {"x-timeout-seconds": "0.9"}),
    ],
)
def test_what_may_take_longer_leaves_the_event_loop_free(
    app: Service,
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
    body: dict[str, Any],
    headers: dict[str, str],
) -> None:
    monkeypatch.setattr(at_once, "NEIGHBORS", 2)
    (answer,) = post(app, body, headers=headers)
    assert answer.is_success
    assert {thread for thread, _ in runs} == {THREAD}


def test_a_transformer_never_runs_on_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine.open(write_tiny_bundle(tmp_path / "tiny", "minilm").folder)
    infer, threads = engine.infer, set[str]()

    def noted(resolution: Resolution) -> Inference:
        threads.add(threading.current_thread().name)
        return infer(resolution)

    monkeypatch.setattr(engine, "infer", noted)
    (answer,) = post(create_app(engine, Settings()), {"nodes": [SMALL]})
    assert answer.is_success
    assert threads == {THREAD}
