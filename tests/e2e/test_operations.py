"""Every operation of the OpenAPI document: its example works, and its role is required."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.http.access import Role, add_key
from tests.bundles import LABELS, TinyBundle
from tests.e2e.conftest import Service, serving
from tests.openai_server import openai_server

# (method, path) → role, written down once more by hand: what the service declares is compared.
ROLES = {
    ("GET", "/health/live"): "anyone",
    ("GET", "/health/ready"): "anyone",
    ("GET", "/v2/health/live"): "anyone",
    ("GET", "/v2/health/ready"): "anyone",
    ("GET", "/metrics"): "anyone",
    ("GET", "/"): "anyone",
    ("GET", "/docs"): "anyone",
    ("GET", "/page/page.css"): "anyone",
    ("POST", "/classify"): "read",
    ("POST", "/classify/teacher"): "read",
    ("POST", "/compare"): "read",
    ("GET", "/info"): "read",
    ("GET", "/nodes"): "read",
    ("GET", "/search"): "read",
    ("POST", "/surroundings"): "read",
    ("GET", "/nodes/{id}"): "read",
    ("GET", "/nodes/{id}/neighbors"): "read",
    ("GET", "/nodes/{id}/similar"): "read",
    ("POST", "/v1/embeddings"): "read",
    ("GET", "/v1/models"): "read",
    ("GET", "/v1/models/{model}"): "read",
    ("POST", "/v1/decisions"): "read",
    ("POST", "/v1/systemone"): "read",
    ("POST", "/v1/chat/completions"): "read",
    ("POST", "/predict"): "read",
    ("GET", "/v2"): "read",
    ("GET", "/v2/models/{model}"): "read",
    ("GET", "/v2/models/{model}/ready"): "read",
    ("POST", "/v2/models/{model}/infer"): "read",
    ("GET", "/v2/models/{model}/versions/{version}"): "read",
    ("GET", "/v2/models/{model}/versions/{version}/ready"): "read",
    ("POST", "/v2/models/{model}/versions/{version}/infer"): "read",
    ("GET", "/openapi.json"): "read",
    ("GET", "/nothing"): "read",
    ("PUT", "/nodes/{id}"): "write",
    ("DELETE", "/nodes/{id}"): "write",
    ("POST", "/edges"): "write",
    ("DELETE", "/edges"): "write",
    ("POST", "/mutations"): "write",
    ("GET", "/graph"): "read",
    ("POST", "/admin/reload"): "admin",
    ("POST", "/nothing"): "admin",
}


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keys.json"


@pytest.fixture(scope="module")
def secrets(keys_file: Path) -> dict[str, str]:
    return {role.name: add_key(keys_file, role.name, role) for role in list(Role)[1:]}


@pytest.fixture(scope="module")
def guarded(tiny_bundle: TinyBundle, keys_file: Path, secrets: dict[str, str]) -> Iterator[Service]:
    with openai_server(lambda _: LABELS[0]) as teacher:
        flags = ("--keys-file", str(keys_file), "--teacher-url", teacher.url)
        with serving(tiny_bundle.folder, *flags, "--auto-threshold", "0.5") as running:
            yield running


def headers(secrets: dict[str, str], role: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secrets[role]}"} if role in secrets else {}


def documented(service: Service, secrets: dict[str, str]) -> Any:
    response = service.client.get("/openapi.json", headers=headers(secrets, "read"))
    assert response.status_code == 200
    return response.json()


def test_every_example_is_really_answered(guarded: Service, secrets: dict[str, str]) -> None:
    sent = 0
    for path, item in documented(guarded, secrets)["paths"].items():
        for method, operation in item.items():
            assert operation["summary"]
            target = path
            query: dict[str, str] = {}
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query" and "example" in parameter:
                    query[parameter["name"]] = parameter["example"]
                if parameter["in"] == "path":
                    target = target.replace(f"{{{parameter['name']}}}", parameter["example"])
            content = operation.get("requestBody", {}).get("content", {})
            body = content.get("application/json", {}).get("example")
            response = guarded.client.request(
                method, target, params=query, json=body, headers=headers(secrets, "admin")
            )
            assert response.status_code == 200, (method, target, response.text)
            assert str(response.status_code) in operation["responses"]
            sent += 1
    assert sent >= 20


def test_a_walk_over_all_routes_with_all_roles(guarded: Service, secrets: dict[str, str]) -> None:
    paths = documented(guarded, secrets)["paths"]
    declared = {(method.upper(), path) for path, item in paths.items() for method in item}
    beside = {("GET", path) for path in ("/metrics", "/openapi.json", "/docs", "/", "/graph")}
    beside |= {("GET", "/page/page.css")}
    assert declared | beside | {("GET", "/nothing"), ("POST", "/nothing")} == ROLES.keys()
    for (method, path), needed in ROLES.items():
        target = re.sub(r"{\w+}", "nobody", path)
        for role in Role:
            response = guarded.client.request(method, target, headers=headers(secrets, role.name))
            if role >= Role[needed]:
                assert response.status_code not in (401, 403), (method, path, role)
            else:
                expected = 403 if role is not Role.anyone else 401
                assert response.status_code == expected, (method, path, role)
                body = response.json()
                if path == "/v1/systemone":  # its wire has names of its own for these
                    assert body["detail"]["error_type"]
                    continue
                error = body["error"]
                code = error.partition(":")[0] if path.startswith("/v2") else error["code"]
                assert code in ("unauthorized", "forbidden")


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/classify/", "/edges/", "/mutations/", "/nodes/", "/admin/reload/", "/v2/repository"]
)
def test_where_nothing_is_no_key_lacks_a_role(
    guarded: Service, secrets: dict[str, str], method: str, path: str
) -> None:
    response = guarded.client.request(method, path, headers=headers(secrets, "read"))
    assert response.status_code == 404
    assert guarded.client.request(method, path).status_code == 401


def test_a_wrong_method_is_no_lack_of_a_role(guarded: Service, secrets: dict[str, str]) -> None:
    for method, path in (("POST", "/info"), ("PATCH", "/nodes/node-1"), ("DELETE", "/classify")):
        response = guarded.client.request(method, path, headers=headers(secrets, "read"))
        assert response.status_code == 405


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ("Bearer wrong", "this key is unknown"),
        (f"bearer {'x' * 10_000}", "this key is unknown"),
        ("Basic YTpi", "send a key as `Authorization: Bearer …`"),
        ("Bearer", "send a key as"),
        ("understudy_x", "send a key as"),
    ],
)
def test_a_wrong_key_is_refused(guarded: Service, sent: str, words: str) -> None:
    response = guarded.client.get("/info", headers={"authorization": sent})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert words in response.json()["error"]["message"]


def test_no_origin_is_allowed(guarded: Service, secrets: dict[str, str]) -> None:
    origin = {"origin": "https://example.com", "access-control-request-method": "POST"}
    for method in ("OPTIONS", "GET"):
        response = guarded.client.request(
            method, "/info", headers={**origin, **headers(secrets, "read")}
        )
        assert not any(name.startswith("access-control") for name in response.headers)


def test_metrics_tell_what_happened(guarded: Service, secrets: dict[str, str]) -> None:
    body = {"nodes": [{"id": "node-1"}, {"text": "http socket"}], "route": "student"}
    response = guarded.client.post("/classify", json=body, headers=headers(secrets, "read"))
    assert response.status_code == 200
    text = guarded.client.get("/metrics").text
    for name in (
        'requests_total{operation="classify",status="200"}',
        'request_seconds_bucket{le="5e-05",operation="classify"}',
        "queue_seconds_count",
        "encode_seconds_count",
        "inference_seconds_count",
        "batch_nodes_bucket",
        "queue_tokens 0.0",
        "graph_nodes",
        "ready 1.0",
    ):
        assert f"understudy_{name}" in text, name
    assert "process_resident_memory_bytes" in text
    assert "http socket" not in text


def test_the_open_inference_protocol(service: Service, tiny_bundle: TinyBundle) -> None:
    model = "/v2/models/tiny-hashing"
    assert service.client.get(f"{model}/ready").json() == {"name": "tiny-hashing", "ready": True}
    metadata = service.client.get(model).json()
    assert [tensor["name"] for tensor in metadata["inputs"]] == ["id", "text", "neighbors"]
    unseen = {"text": tiny_bundle.text(3), "neighbors": list(tiny_bundle.neighbors(3))}
    plain = service.classify({"id": "node-7"}, unseen).json()["predictions"]
    near = '["' + '", "'.join(unseen["neighbors"]) + '"]'
    columns = {"id": ["node-7", ""], "text": ["", unseen["text"]], "neighbors": ["", near]}
    inputs = [
        {"name": name, "shape": [2], "datatype": "BYTES", "data": data}
        for name, data in columns.items()
    ]
    answer = service.client.post(f"{model}/infer", json={"id": "7", "inputs": inputs}).json()
    assert (answer["id"], answer["model_name"]) == ("7", "tiny-hashing")
    assert answer["outputs"][0]["data"] == [p["label"] for p in plain]
    assert answer["outputs"][1]["data"] == [p["score"] for p in plain]
    missing = service.client.post("/v2/models/other/infer", json={"inputs": inputs})
    assert missing.status_code == 404
    assert missing.json()["error"].startswith("unknown_model: there is no model 'other'")
    missing = service.client.get(f"{model}/versions/7")
    assert "there is no version '7'; the served version" in missing.json()["error"]
    inputs[0]["shape"] = [3]
    wrong = service.client.post(f"{model}/infer", json={"inputs": inputs})
    assert wrong.json()["error"].startswith("invalid_field: inputs.0.shape: ")


def test_rates_are_limited_except_for_health(tiny_bundle: TinyBundle) -> None:
    flags = ("--rate-limit", "0.001", "--rate-burst", "2")
    with serving(tiny_bundle.folder, *flags) as service:
        statuses = [service.client.get("/info").status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        refused = service.classify({"id": "node-1"})
        assert refused.json()["error"]["code"] == "rate_limited"
        assert int(refused.headers["retry-after"]) > 900
        assert httpx.get(f"{service.url}/health/live").status_code == 200
        assert "rate_limited" in httpx.get(f"{service.url}/metrics").text
