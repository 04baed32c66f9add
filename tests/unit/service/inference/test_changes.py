"""Changes whose client leaves early: not made at all, or reported as under way."""

from collections.abc import Sequence
from threading import Event

import pytest
from starlette.testclient import TestClient

from service.app import Service
from understudy.engine import Engine
from understudy.graph.log.memory import MemoryLog
from understudy.graph.log.protocol import Record

NODE = {"text": "json"}


class HeldLog(MemoryLog):
    """Keeps nothing before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = Event()

    def append(self, records: Sequence[Record]) -> None:
        self.go.wait()
        super().append(records)


def mutations_counted(app: Service) -> float:
    return app.parts.metrics.mutations.values.get((), 0)


def test_a_change_whose_turn_comes_too_late_is_not_made(client: TestClient, engine: Engine) -> None:
    for method, path, body in (
        ("PUT", "/nodes/a", NODE),
        ("DELETE", "/nodes/node-1", None),
        ("POST", "/mutations", {"mutations": [{"kind": "delete_node", "id": "node-2"}]}),
    ):
        with engine.writer.lock:
            late = client.request(method, path, json=body, headers={"x-timeout-seconds": "0.01"})
        assert (late.status_code, late.json()["error"]["code"]) == (504, "deadline_passed")
        assert late.json()["error"]["message"].startswith("no answer ")
        assert "nothing was done" in late.json()["error"]["message"]
    assert client.put("/nodes/b", json=NODE, headers={"x-timeout-seconds": "1e300"}).is_success
    assert engine.state.version == 1
    assert client.get("/nodes/a").status_code == 404


def test_a_change_that_has_begun_is_told_to_be_on_its_way(
    client: TestClient, engine: Engine
) -> None:
    log = engine.writer.log = HeldLog()
    sent = {"idempotency-key": "mine"}
    late = client.put("/nodes/a", json=NODE, headers={**sent, "x-timeout-seconds": "1"})
    assert (late.status_code, late.json()["error"]["code"]) == (503, "change_unsure")
    assert late.headers["retry-after"] == "1"
    log.go.set()
    again = client.put("/nodes/a", json=NODE, headers=sent)
    assert again.json() == {"graph_version": 1, "repeated": True}


def test_what_changes_nothing_is_answered_with_the_version_that_is_there(
    client: TestClient, app: Service
) -> None:
    known = client.get("/nodes/node-1").json()
    other = client.get("/nodes/node-1/neighbors").json()["neighbors"][0]
    edge = {"source": other, "target": "node-1"}
    upsert = {"kind": "upsert_node", "id": "node-1", "text": known["text"]}
    for method, path, body in (
        ("PUT", "/nodes/node-1", {}),
        ("PUT", "/nodes/node-1", {"text": known["text"], "neighbors": [other]}),
        ("POST", "/edges", edge),
        ("POST", "/mutations", {"mutations": [upsert, {"kind": "add_edge", **edge}]}),
    ):
        answer = client.request(method, path, json=body)
        assert answer.json() == {"graph_version": 0, "repeated": False}
    assert mutations_counted(app) == 0
    kept = client.put("/nodes/node-1", json={}, headers={"idempotency-key": "mine"})
    assert kept.json() == {"graph_version": 1, "repeated": False}


@pytest.mark.parametrize("name", ["if-match", "if-none-match", "if-unmodified-since"])
def test_no_change_is_made_under_a_condition_that_nobody_looks_at(
    client: TestClient, engine: Engine, name: str
) -> None:
    for method, path, body in (
        ("PUT", "/nodes/node-1", NODE),
        ("DELETE", "/nodes/node-1", None),
        ("POST", "/edges", {"source": "node-1", "target": "node-39"}),
    ):
        refused = client.request(method, path, json=body, headers={name: "*"})
        assert refused.status_code == 422
        assert refused.json()["error"]["details"] == {"field": name}
    assert engine.state.version == 0
    assert client.get("/nodes/node-1", headers={name: "*"}).status_code == 200
