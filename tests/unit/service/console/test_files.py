"""The page's files as they are sent, without a browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.console.files import ASSETS, KINDS, POLICY, files
from service.http.access import Role, add_key
from service.settings import Settings
from tests.bundles import TinyBundle
from understudy.engine import Engine


def client_of(bundle: TinyBundle, settings: Settings) -> TestClient:
    return TestClient(create_app(Engine.open(bundle.folder), settings), base_url="http://localhost")


@pytest.fixture
def client(tiny_bundle: TinyBundle) -> TestClient:
    return client_of(tiny_bundle, Settings())


def references(content: str) -> Iterator[str]:
    """What a file of ours has a browser load."""
    yield from re.findall(r'(?:src|href)="(?!#|\./)([^"]+\.\w+)"', content)
    yield from re.findall(r'from "([^"]+)"', content)


@pytest.mark.parametrize("name", sorted(path.name for path in ASSETS.iterdir()))
def test_a_file_loads_only_files_of_ours_and_runs_nothing_inline(name: str) -> None:
    content = (ASSETS / name).read_text(encoding="utf-8")
    for reference in references(content):
        known = reference.removeprefix("page/").removeprefix("./")
        assert known in {*files(), "openapi.json"}, f"{name} loads {reference}"
    if name.endswith(".html"):
        assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*src=)", content)
    assert "http://" not in content.replace("http://www.w3.org/", "")
    assert "https://" not in content
    assert Path(name).suffix in KINDS


@pytest.mark.parametrize("path", ["/", "/docs", "/page/main.js"])
def test_files_come_with_a_policy_and_once(client: TestClient, path: str) -> None:
    first = client.get(path)
    assert first.status_code == 200
    assert first.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert first.headers["x-content-type-options"] == "nosniff"
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b""), known
    assert client.get(path, headers={"if-none-match": '"other"'}).status_code == 200
    head = client.head(path)
    assert (head.status_code, head.headers["content-type"]) == (200, first.headers["content-type"])


def test_nothing_but_its_files_is_below_the_page(client: TestClient) -> None:
    for path in ("/page/..%2f__init__.py", "/page/files.py", "/page/", "/page/nothing.js"):
        assert client.get(path).status_code == 404, path
    assert client.post("/").status_code == 405
    assert client.post("/").headers["allow"] == "GET, HEAD"


def test_without_the_page_its_place_is_empty_and_the_reference_stays(
    tiny_bundle: TinyBundle,
) -> None:
    client = client_of(tiny_bundle, Settings(page=False))
    assert client.get("/").status_code == 404
    assert client.get("/docs").status_code == 200
    assert client.get("/page/reference.js").status_code == 200


def test_where_keys_are_needed_the_page_is_read_without_one_and_shows_nothing(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    secret = add_key(tmp_path / "keys.json", "reader", Role.read)
    client = client_of(tiny_bundle, Settings(keys_file=tmp_path / "keys.json"))
    assert client.get("/").status_code == 200
    assert client.get("/docs").status_code == 200
    for path in ("/nodes", "/search?q=a", "/info", "/openapi.json"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"authorization": f"Bearer {secret}"}).status_code == 200
