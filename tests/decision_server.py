"""A decision endpoint whose answers a test decides: /v1/decisions and /v1/systemone.

Requests of the former are checked against the openai package's own types, and so are answers.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from openai.types.decision import Decision
from openai.types.decision_create_params import DecisionCreateParams
from pydantic import TypeAdapter

from tests.http_servers import serve

REQUEST = TypeAdapter(DecisionCreateParams)
MOST_CHOICES = 255
USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 102,
}

# The text and the options of a question → probabilities, or None to refuse it.
Decide = Callable[[str, list[str]], Mapping[str, float] | None]


class DecisionServer:
    """Attributes:
    answer: sent instead of a decision, where it is set.
    """

    def __init__(self, decide: Decide) -> None:
        self.decide = decide
        self.answer: Response | None = None
        self.requests: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []
        app = FastAPI()
        app.post("/v1/decisions", response_model=None)(self.decisions)
        app.post("/v1/systemone", response_model=None)(self.systemone)
        url, self.stop = serve(app)
        self.url = f"{url}/v1"

    async def decisions(self, request: Request) -> Response:
        body = await self.note(request)
        REQUEST.validate_python(body)
        answers = [self.listed(body["input"], question) for question in body["questions"]]
        value = {"model": body["model"], "answers": answers, "usage": USAGE}
        Decision.model_validate(value)
        return self.answer or JSONResponse(value)

    async def systemone(self, request: Request) -> Response:
        body = await self.note(request)
        answers = {
            name: {"type": "choice", "choice": "-", "confidence": 0, "probabilities": shares}
            for name, question in body["questions"].items()
            if (shares := self.decide(body["state"], list(question["criteria"]))) is not None
        }
        value = {"model": body["model"], "answers": answers, "usage": USAGE}
        return self.answer or JSONResponse(value)

    async def note(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = await request.json()
        self.requests.append(body)
        self.authorizations.append(request.headers.get("authorization"))
        return body

    def listed(self, text: str, question: Mapping[str, Any]) -> dict[str, Any]:
        labels = [choice["value"] for choice in question["choices"]]
        assert 2 <= len(labels) == len(set(labels)) <= MOST_CHOICES
        decided = self.decide(text, labels)
        if decided is None:
            return {"type": "refusal", "name": None}
        listed = [{"value": label, "probability": p} for label, p in decided.items()]
        # Confidence and choice are what no client should go by.
        chosen = {"choice": labels[-1], "confidence": 0.0, "probabilities": listed}
        return {"type": "choice", "name": None, **chosen}


@contextmanager
def decision_server(decide: Decide) -> Iterator[DecisionServer]:
    server = DecisionServer(decide)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def mock(*words: str) -> Iterator[str]:
    """`jevcompat mock`, a process of its own."""
    pytest.importorskip("jevcompat")
    command = [sys.executable, "-m", "jevcompat.cli", "mock", "--port", "0", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://[\w.:]+", process.stdout.readline())
        assert found is not None
        yield f"{found.group()}/v1"
    finally:
        process.terminate()
        process.communicate(timeout=20)
