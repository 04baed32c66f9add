"""Ids in paths: each names one node, in every route, or is refused."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.bundles import TinyBundle
from tests.e2e.conftest import Service, received, serving

STRANGE = [
    "a/neighbors",
    "neighbors",
    "a/neighbors/neighbors",
    "/",
    "/a",
    "a//b",
    "a/../b",
    "a?b#c",
    "100%",
    "%41",
    "a%2Fb",
    "a b",
    "a+b",
    ";a=b",
    "ü 日本 👩\u200d👩",
    "\ufffd",
    "x" * 2_048,
    "ü" * 1_024,
]


@pytest.fixture(scope="module")
def own(tiny_bundle: TinyBundle) -> Iterator[Service]:
    with serving(tiny_bundle.folder) as running:
        yield running


def ask(service: Service, method: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
    """Sends a path byte by byte as it is written; no client tidies it up."""
    head = f"{method} {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
    head += "content-type: application/json\r\n" if body else ""
    with service.raw_connection() as connection:
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body)
        answer = received(connection)
    head_bytes, _, content = answer.partition(b"\r\n\r\n")
    return int(head_bytes.split()[1]), content


@pytest.mark.parametrize("node_id", [*STRANGE, ".", ".."])
def test_an_id_is_one_node_in_every_route(own: Service, node_id: str) -> None:
    part = quote(node_id, safe="")
    other = own.client.put("/nodes/a", json={"text": "http", "neighbors": ["node-1"]})
    assert other.status_code == 200
    body = b'{"text": "proof", "neighbors": ["node-2"]}'
    assert ask(own, "PUT", f"/nodes/{part}", body)[0] == 200
    assert own.classify({"id": node_id}).status_code == 200
    status, content = ask(own, "GET", f"/nodes/{part}")
    assert (status, b'"proof"' in content) == (200, True)
    status, content = ask(own, "GET", f"/nodes/{part}/neighbors")
    assert (status, b'"node-2"' in content) == (200, True)
    assert ask(own, "DELETE", f"/nodes/{part}")[0] == 200
    assert ask(own, "GET", f"/nodes/{part}")[0] == 404
    assert own.client.get("/nodes/a").json()["text"] == "http"


def test_slashes_may_be_sent_as_they_are(own: Service) -> None:
    assert own.client.put("/nodes/p/q", json={"text": "http"}).status_code == 200
    assert own.client.get("/nodes/p%2Fq").json()["id"] == "p/q"
    assert own.client.get("/nodes/p/q/neighbors").json()["id"] == "p/q"


def test_another_method_of_the_neighbors_changes_no_node(own: Service) -> None:
    own.client.put("/nodes/b%2Fneighbors", json={"text": "http"}).raise_for_status()
    refused = own.client.delete("/nodes/b/neighbors")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert own.client.get("/nodes/b%2Fneighbors").status_code == 200


@pytest.mark.parametrize("ending", ["%0A", "%0D%0A", "%00", "%09", "%20", "%7F", "%C2%85"])
def test_a_control_character_at_the_end_is_another_id(own: Service, ending: str) -> None:
    own.client.put("/nodes/kept", json={"text": "http"}).raise_for_status()
    before = own.client.get("/info").json()["graph_version"]
    for method in ("GET", "DELETE"):
        status, content = ask(own, method, f"/nodes/kept{ending}")
        assert (status, b"unknown" in content) == (404, True)
    status, content = ask(own, "PUT", f"/nodes/kept{ending}", b'{"text": "proof"}')
    assert (status, b"mutation_refused" in content) == (422, True)
    assert own.client.get("/info").json()["graph_version"] == before
    assert own.client.get("/nodes/kept").json()["text"] == "http"


@pytest.mark.parametrize(
    "part", ["%FF", "%FE", "%C3", "%ED%A0%80", "a%", "a%4", "%zz", "%%41", "%C0%AF"]
)
@pytest.mark.parametrize("target", ["/nodes/{}", "/nodes/{}/neighbors", "/v2/models/{}", "/{}"])
def test_a_badly_encoded_path_is_refused(own: Service, target: str, part: str) -> None:
    before = own.client.get("/info").json()["graph_version"]
    for method in ("GET", "PUT", "DELETE") if target == "/nodes/{}" else ("GET",):
        status, content = ask(own, method, target.format(part), b'{"text": "proof"}')
        assert (status, b"malformed_path" in content) == (400, True)
    assert own.client.get("/info").json()["graph_version"] == before


@pytest.mark.parametrize("node_id", ["a\nb", "\x7f", "a\x00", " a", "a\u2029b", "x" * 2_049])
def test_every_other_door_refuses_such_an_id(own: Service, node_id: str) -> None:
    change = {"kind": "upsert_node", "id": node_id, "text": "http"}
    refused = own.client.post("/mutations", json={"mutations": [change]})
    assert refused.status_code == 422
    assert refused.json()["error"]["details"] == {"position": 0, "field": "mutations.0.id"}
    assert "a node's id" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/classify", "POST"),
        ("GET", "/edges", "DELETE, POST"),
        ("PATCH", "/nodes/x", "DELETE, GET, HEAD, PUT"),
        ("POST", "/nodes/x/neighbors", "GET, HEAD"),
        ("POST", "/info", "GET, HEAD"),
        ("POST", "/metrics", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
        ("DELETE", "/v2", "GET, HEAD"),
        ("GET", "/v2/models/m/infer", "POST"),
        ("OPTIONS", "/mutations", "POST"),
    ],
)
def test_a_wrong_method_is_told_all_the_right_ones(
    own: Service, method: str, path: str, allowed: str
) -> None:
    refused = own.client.request(method, path)
    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
    error = refused.json()["error"]
    assert "method_not_allowed" in (error if path.startswith("/v2") else error["code"])


@pytest.mark.parametrize("path", ["/node", "/nodes/", "/classify/", "//classify", "/%63lassify"])
def test_what_is_no_path_is_not_found(own: Service, path: str) -> None:
    status, content = ask(own, "POST", path, b"{}")
    assert (status, b"not_found" in content) == (404, True)
