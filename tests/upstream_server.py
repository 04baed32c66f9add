"""A small upstream server, for questions that the student does not answer."""

from collections.abc import Callable
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.http_servers import serve

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
