"""Reading and changing the graph over HTTP."""

import signal
from pathlib import Path

import pytest

from tests.bundles import NODES, TinyBundle
from tests.e2e.conftest import Service, serving


def version(service: Service) -> int:
    return int(service.client.get("/info").json()["graph_version"])


def test_a_node_from_birth_to_death(tiny_bundle: TinyBundle) -> None:
    with serving(tiny_bundle.folder) as service:
        client = service.client
        text = tiny_bundle.text(3)
        unseen = service.classify({"text": text, "neighbors": ["node-1", "node-2"]}).json()
        made = client.put("/nodes/a/b c", json={"text": text, "neighbors": ["node-1", "node-2"]})
        assert made.json() == {"graph_version": 1, "repeated": False}
        node = client.get("/nodes/a/b c").json()
        assert (node["text"], node["degree"], node["label"]) == (text, 2, None)
        assert client.get("/nodes/a/b c/neighbors").json()["neighbors"] == ["node-1", "node-2"]
        stored = service.classify({"id": "a/b c"}).json()
        assert stored["graph_version"] == 1
        assert stored["predictions"][0]["label"] == unseen["predictions"][0]["label"]
        edge = {"source": "a/b c", "target": "node-1"}
        assert client.request("DELETE", "/edges", json=edge).status_code == 200
        assert client.request("DELETE", "/edges", json=edge).status_code == 404
        assert client.post("/edges", json=edge).status_code == 200
        assert client.delete("/nodes/a/b c").json()["graph_version"] == 4
        gone = client.get("/nodes/a/b c")
        assert gone.status_code == 404
        assert gone.json()["error"]["message"] == "no stored node has the id 'a/b c'"
        assert service.classify({"id": "a/b c"}).status_code == 404


def test_a_batch_is_all_or_nothing_and_its_key_counts_once(service: Service) -> None:
    before = version(service)
    good = {"kind": "upsert_node", "id": "batch", "text": "http"}
    bad = {"kind": "add_edge", "source": "batch", "target": "nobody"}
    refused = service.client.post("/mutations", json={"mutations": [good, bad]})
    assert refused.status_code == 404
    assert refused.json()["error"]["details"] == {"position": 1, "field": "mutations.1.target"}
    assert version(service) == before
    assert service.classify({"id": "batch"}).status_code == 404
    once = {"idempotency-key": "k1"}
    for repeated in (False, True):
        answer = service.client.post("/mutations", json={"mutations": [good]}, headers=once)
        assert answer.json() == {"graph_version": before + 1, "repeated": repeated}
    other = service.client.post(
        "/mutations", json={"mutations": [{"kind": "delete_node", "id": "batch"}]}, headers=once
    )
    assert other.status_code == 409


def test_wrong_changes_name_their_field(service: Service) -> None:
    wrong = service.client.post("/mutations", json={"mutations": [{"kind": "explode"}]})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "invalid_field")
    wrong = service.client.put("/nodes/x", json={"txet": "a"})
    assert wrong.json()["error"]["details"] == {"field": "txet"}
    wrong = service.client.put("/nodes/x", json={})
    assert wrong.status_code == 422
    assert wrong.json()["error"]["details"] == {"field": "text"}


@pytest.mark.parametrize(
    ("method", "path", "body", "field", "problem"),
    [
        ("PUT", "/nodes/x", {"text": "a", "neighbors": ["node-1", "nobody"]}, "neighbors.1", "nob"),
        ("PUT", "/nodes/node-1", {"neighbors": ["node-1"]}, "neighbors.0", "linked to itself"),
        ("PUT", "/nodes/x", {"text": " "}, "text", "visible character"),
        ("PUT", "/nodes/x", {"text": "a" * 100_001}, "text", "more than 100,000 characters"),
        (
            "PUT",
            "/nodes/x",
            {"text": "a", "label": "cooking"},
            "label",
            "no label 'cooking'; it has net, editors, games, science",
        ),
        ("PUT", "/nodes/%20x", {"text": "a"}, "id", "a node's id"),
        ("DELETE", "/nodes/nobody", None, "id", "no stored node"),
        ("POST", "/edges", {"source": "nobody", "target": "node-1"}, "source", "no stored node"),
        ("DELETE", "/edges", {"source": "node-1", "target": "nobody"}, "target", "no stored node"),
    ],
)
def test_one_change_names_the_field_that_was_sent(
    service: Service, method: str, path: str, body: object, field: str, problem: str
) -> None:
    error = service.client.request(method, path, json=body).json()["error"]
    assert error["details"] == {"field": field}
    assert error["message"].startswith(f"{field}: ")
    assert problem in error["message"]


def test_nodes_that_are_not_linked_are_no_fault_of_one_field(service: Service) -> None:
    edge = {"source": "node-0", "target": f"node-{NODES - 1}"}
    error = service.client.request("DELETE", "/edges", json=edge).json()["error"]
    assert error["message"] == f"'node-0' and 'node-{NODES - 1}' are not linked"
    assert error["details"] == {}


def test_an_acknowledged_change_survives_a_kill(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    flags = ("--data-folder", str(tmp_path / "data"))
    with serving(tiny_bundle.folder, *flags) as service:
        service.client.put("/nodes/new", json={"text": "http"}).raise_for_status()
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
    with serving(tiny_bundle.folder, *flags) as service:
        assert service.classify({"id": "new"}).status_code == 200
        assert service.client.get("/info").json()["graph_version"] == 1
        metrics = service.client.get("/metrics").text
        assert f"understudy_graph_nodes {NODES + 1}.0" in metrics


def test_two_services_on_one_data_folder_serve_one_graph(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    flags = ("--data-folder", str(tmp_path / "data"))
    key = {"idempotency-key": "mine"}
    with serving(tiny_bundle.folder, *flags) as one:
        with serving(tiny_bundle.folder, *flags) as other:
            one.client.put("/nodes/a", json={"text": "http"}).raise_for_status()
            edge = {"source": "a", "target": "node-0"}
            second = other.client.post("/edges", json=edge, headers=key)
            assert second.json()["graph_version"] == 2  # it builds on what the first one took
            other.process.send_signal(signal.SIGKILL)
            other.process.wait()
        again = one.client.post("/edges", json=edge, headers=key)
        assert again.json()["graph_version"] == 2
        assert one.client.get("/nodes/a/neighbors").json()["neighbors"]
        assert one.client.get("/health/ready").status_code == 200
