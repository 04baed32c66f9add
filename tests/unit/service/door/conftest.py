"""A served bundle, and a small upstream behind it."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.app import create_app
from service.settings import Settings
from tests.bundles import TinyBundle
from tests.http_servers import serve
from understudy.engine import Engine

Ask = Callable[..., httpx.Response]


class UpstreamServer:
    """Answers every question with its number; notes what came.

    Attributes:
        answer: sent instead, where it is set.
    """

    def __init__(self) -> None:
        self.answer: Response | None = None
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        app = Starlette(routes=[Route("/v1/{rest:path}", self.note, methods=["POST"])])
        url, self.stop = serve(app)
        self.url = f"{url}/v1"

    async def note(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        self.paths.append(request.url.path)
        self.headers.append(dict(request.headers))
        if self.answer is not None:
            return self.answer
        body = await request.json()
        questions = body.get("questions", [])
        answers: Any = [{"type": "predicate", "probability": n} for n in range(len(questions))]
        if isinstance(questions, dict):
            answers = {name: {"type": "noul", "noul": 0.5} for name in questions}
        return JSONResponse({"model": "big", "answers": answers, "usage": {"input_tokens": 7}})


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
    """Posts to a fresh application: a path, a body, headers and settings."""

    def send(
        path: str, body: object, headers: dict[str, str] | None = None, **settings: Any
    ) -> httpx.Response:
        async def run() -> httpx.Response:
            app = create_app(Engine.open(tiny_bundle.folder), Settings(**settings))
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                raw = {"content": body} if isinstance(body, bytes) else {"json": body}
                sent = {"content-type": "application/json"} | (headers or {})
                answer = await client.post(path, headers=sent, **raw)  # type: ignore[arg-type]
            await app.parts.close()
            return answer

        return asyncio.run(run())

    return send
