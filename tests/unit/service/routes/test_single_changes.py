"""A route that makes one change says what is wrong with it, and numbers nothing."""

from typing import Any

import pytest
from starlette.testclient import TestClient

EDGE = {"source": "node-1", "target": "node-1"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("PUT", "/nodes/new", {"text": "a", "neighbors": ["x"]}, 404, "no stored node has the id"),
        ("PUT", "/nodes/new", {"label": "net"}, 422, "'new' is new and needs a text"),
        ("DELETE", "/nodes/x", None, 404, "no stored node has the id 'x'"),
        ("POST", "/edges", EDGE, 422, "'node-1' cannot be linked to itself"),
    ],
)
def test_a_refused_change_has_no_number(
    client: TestClient,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    status: int,
    message: str,
) -> None:
    answer = client.request(method, path, json=body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["message"].startswith(message)
    assert isinstance(error["details"]["position"], int)


def test_of_several_changes_the_refused_one_is_numbered(client: TestClient) -> None:
    changes = [{"kind": "upsert_node", "id": "new", "text": "a"}, {"kind": "add_edge"} | EDGE]
    error = client.post("/mutations", json={"mutations": changes}).json()["error"]
    assert error["message"].startswith("mutation 1: ")
