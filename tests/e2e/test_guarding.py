"""Who may ask over the wire: pages of other sites, callers behind proxies or without a key."""

import gzip
import json
import zlib
from collections.abc import Iterator

import httpx
import pytest

from service.http.access import Role, add_key
from tests.bundles import TinyBundle
from tests.e2e.conftest import Service, serving

CLASSIFY = {"nodes": [{"id": "node-1"}]}


def code(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["x-request-id"]
    error = response.json()["error"]  # below /v2 a text, which begins with the code
    return response.status_code, error.partition(":")[0] if isinstance(error, str) else error[
        "code"
    ]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"host": "rebound.evil.example"}, (421, "foreign_host")),
        ({"origin": "https://evil.example"}, (403, "foreign_origin")),
        ({"origin": "null"}, (403, "foreign_origin")),
        ({"sec-fetch-site": "cross-site"}, (403, "foreign_origin")),
        ({"sec-fetch-site": "same-site"}, (403, "foreign_origin")),
        ({"content-type": "text/plain"}, (415, "unsupported_media_type")),
        ({"content-type": "application/x-www-form-urlencoded"}, (415, "unsupported_media_type")),
    ],
)
def test_no_page_changes_or_reads_anything(
    service: Service, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    body = json.dumps({"mutations": [{"kind": "delete_node", "id": "node-3"}]})
    for path in ("/mutations", "/admin/reload", "/classify", "/v2/models/tiny-hashing/infer"):
        assert code(service.client.post(path, content=body, headers=headers)) == expected
    assert code(service.client.delete("/nodes/node-3", headers=headers)) == expected
    if "content-type" not in headers:
        assert code(service.client.get("/nodes/node-3", headers=headers)) == expected
        assert service.client.get("/health/ready", headers=headers).status_code == 200
        assert service.client.get("/metrics", headers=headers).status_code == 200
    assert service.client.get("/nodes/node-3").status_code == 200


def test_an_allowed_host_is_answered(tiny_bundle: TinyBundle) -> None:
    with serving(tiny_bundle.folder, "--allowed-hosts", "app.example, .inner.example") as service:
        for host in ("app.example", "a.inner.example:8080"):
            headers = {"host": host, "origin": f"http://{host}"}
            assert service.client.post("/classify", json=CLASSIFY, headers=headers).is_success
        refused = service.client.get("/info", headers={"host": "other.example"})
        assert code(refused) == (421, "foreign_host")


@pytest.fixture(scope="module")
def limited(tiny_bundle: TinyBundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With keys, three requests each, behind a proxy on loopback."""
    keys_file = tmp_path_factory.mktemp("keys") / "keys.json"
    secret = add_key(keys_file, "ci", Role.read)
    flags = ("--keys-file", str(keys_file), "--rate-limit", "0.001", "--rate-burst", "3")
    with serving(tiny_bundle.folder, *flags, "--trusted-proxies", "127.0.0.0/8") as running:
        running.client.headers["authorization"] = f"Bearer {secret}"
        yield running


def test_guessing_keys_is_limited_and_stops_no_key(limited: Service) -> None:
    guess = {"authorization": "Bearer understudy_guess", "x-forwarded-for": "1.1.1.1, 198.51.100.7"}
    statuses = []
    for number in range(5):
        guess["x-forwarded-for"] = f"10.0.0.{number}, 198.51.100.7"
        statuses.append(limited.client.get("/info", headers=guess).status_code)
    assert statuses == [401, 401, 401, 429, 429]
    guess["x-forwarded-for"] = "198.51.100.7, 198.51.100.8"
    assert limited.client.get("/info", headers=guess).status_code == 401
    statuses = [limited.client.post("/admin/reload").status_code for _ in range(2)]
    assert statuses == [403, 403]
    assert limited.client.get("/info", headers={"host": "any.example"}).status_code == 200
    assert limited.client.get("/info").status_code == 429
    assert limited.client.get("/health/live").status_code == 200


def test_no_forwarded_address_is_believed_unless_its_proxy_is_trusted(
    tiny_bundle: TinyBundle,
) -> None:
    with serving(tiny_bundle.folder, "--rate-limit", "0.001", "--rate-burst", "2") as service:
        statuses = [
            service.client.get("/info", headers={"x-forwarded-for": f"10.0.0.{n}"}).status_code
            for n in range(4)
        ]
    assert statuses == [200, 200, 429, 429]


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZIP", gzip.compress)],
)
def test_compressed_bodies_are_read(service: Service, encoding: str, pack: type[bytes]) -> None:
    def post(content: bytes) -> httpx.Response:
        headers = {"content-encoding": encoding}
        return service.client.post("/classify", content=content, headers=headers)

    body = json.dumps(CLASSIFY).encode()
    plain = service.client.post("/classify", json=CLASSIFY)
    assert post(pack(body)).json() == plain.json()
    assert code(post(pack(b" " * 100_000_000))) == (413, "body_too_large")
    assert code(post(body)) == (400, "malformed_encoding")
    assert code(post(pack(body)[:-1])) == (400, "malformed_encoding")


def test_an_unknown_encoding_is_refused(service: Service) -> None:
    response = service.client.post("/classify", json=CLASSIFY, headers={"content-encoding": "br"})
    assert code(response) == (415, "unsupported_encoding")
    headers = {"content-encoding": "identity"}
    assert service.client.post("/classify", json=CLASSIFY, headers=headers).is_success


def test_a_prefix_may_be_left_away_by_the_proxy_or_not(tiny_bundle: TinyBundle) -> None:
    with serving(tiny_bundle.folder, "--root-path", "/models/packages") as service:
        for root in ("", "/models/packages"):
            assert service.client.post(f"{root}/classify", json=CLASSIFY).is_success
            assert service.client.get(f"{root}/nodes/node-1").is_success
            assert service.client.get(f"{root}/nodes/node%2F1").json()["error"]["message"]
            for page in ("/", "/docs"):  # which refer to what lies beside them
                assert ' src="page/' in service.client.get(f"{root}{page}").text
            assert service.client.get(f"{root}/page/reference.js").is_success
            document = service.client.get(f"{root}/openapi.json").json()
            assert document["servers"] == [{"url": "/models/packages"}]
        for path in (
            "/models/packagesnodes/node-1",
            "/models",
            "/models/packages//",
            "//models/packages/",
        ):
            assert service.client.get(f"{service.url}{path}").status_code == 404, path
        bare = service.client.get("/models/packages?node=node-1")
        assert (bare.status_code, bare.headers["location"]) == (
            307,
            "/models/packages/?node=node-1",
        )
        assert service.client.head("/models/packages", follow_redirects=True).status_code == 200
        assert service.client.post("/models/packages", json=CLASSIFY).status_code == 404
