"""POST /v1/chat/completions, answered by a teacher whose answers are always labels."""

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request

from training.teacher_server.answerer import Answerer, Scorer
from training.teacher_server.errors import add_error_handlers
from training.teacher_server.messages import read_chat
from understudy.graph.prompts import HEAD, QUESTION, TAIL, Prompt

START, MIDDLE = HEAD.split("{instruction}")
END = TAIL.format(question=QUESTION)


def parse_prompt(text: str) -> Prompt:
    """Splits a prompt of `understudy.graph.prompts`; any other text is a description."""
    head, found, rest = text.removeprefix(START).partition(MIDDLE)
    if not (text.startswith(START) and found and rest.endswith(END)):
        return Prompt("", text)
    return Prompt(head, rest.removesuffix(END))


def create_app(
    name: str, label_names: Sequence[str], score: Scorer, identity: Mapping[str, str] | None = None
) -> FastAPI:
    """The server of one teacher.

    Args:
        identity: identifies the measured teacher to a service: digests of the model, of its tuned
            weights and of its prompts.
    """
    described: dict[str, Any] = {"id": name, "object": "model", "owned_by": "local"}
    if identity is not None:
        described["understudy"] = dict(identity)
    answerer = Answerer(score)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        answerer.close()

    app = FastAPI(title=f"Teacher: {name}", lifespan=lifespan)
    add_error_handlers(app)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [described]}

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> dict[str, Any]:
        chat = await read_chat(request)
        probabilities = await answerer.ask(parse_prompt(chat.messages[-1].text))
        label = label_names[int(probabilities.argmax())]
        return completion(
            name,
            json.dumps({"category": label}) if chat.wants_json else label,
            dict(zip(label_names, probabilities.astype(float).tolist(), strict=True)),
        )

    return app


def completion(name: str, content: str, scores: dict[str, float]) -> dict[str, Any]:
    """A chat completion; `label_scores` extends the format with the teacher's probabilities."""
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": name,
        "choices": [choice],
        "label_scores": scores,
    }
