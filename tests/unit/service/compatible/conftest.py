"""A served bundle, and a small upstream behind it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.settings import Settings
from tests.bundles import TinyBundle
from tests.upstream_server import Ask, UpstreamServer
from understudy.engine import Engine


@pytest.fixture(scope="package")
def upstream_server() -> Iterator[UpstreamServer]:
    server = UpstreamServer()
    yield server
    server.stop()


@pytest.fixture
def upstream(upstream_server: UpstreamServer) -> UpstreamServer:
    """With nothing noted yet."""
    upstream_server.answer = None
    for noted in (upstream_server.bodies, upstream_server.paths, upstream_server.headers):
        noted.clear()
    return upstream_server


@pytest.fixture
def ask(tiny_bundle: TinyBundle) -> Ask:
    return asking(tiny_bundle)


def asking(bundle: TinyBundle) -> Ask:
    """Posts to a fresh application: a path, a body, headers and settings."""

    def send(
        path: str, body: object, headers: dict[str, str] | None = None, **settings: Any
    ) -> httpx.Response:
        async def run() -> httpx.Response:
            app = create_app(Engine.open(bundle.folder), Settings(**settings))
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                raw = {"content": body} if isinstance(body, bytes) else {"json": body}
                sent = {"content-type": "application/json"} | (headers or {})
                answer = await client.post(path, headers=sent, **raw)
            await app.parts.close()
            return answer

        return asyncio.run(run())

    return send
