"""POST /v1/chat/completions, answered by a teacher whose every answer is a label."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Protocol
from uuid import uuid4

import numpy as np
from fastapi import FastAPI, HTTPException
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from graph.prompts import HEAD, QUESTION, TAIL, Prompt

START, MIDDLE = HEAD.split("{instruction}")
END = TAIL.format(question=QUESTION)
MAX_PROMPT_CHARACTERS = 200_000
MAX_BATCH = 16  # prompts that are answered together


class Message(BaseModel):
    model_config = ConfigDict(extra="ignore")
    role: str
    content: str = Field(max_length=MAX_PROMPT_CHARACTERS)


class ChatRequest(BaseModel):
    """Of the OpenAI format, what matters here; the rest is not read."""

    model_config = ConfigDict(extra="ignore")
    model: str = ""
    messages: list[Message] = Field(min_length=1)
    response_format: dict[str, Any] | None = None
    stream: bool = False


class Scorer(Protocol):
    """Prompts → log-probabilities of the labels, float32 [P, C]."""

    def __call__(self, prompts: Sequence[Prompt]) -> NDArray[np.float32]: ...


class Answerer:
    """Runs the teacher on one thread; what waits meanwhile goes together."""

    def __init__(self, score: Scorer) -> None:
        self.score = score
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="teacher")
        self.waiting: list[tuple[Prompt, asyncio.Future[NDArray[np.float32]]]] = []
        self.running: asyncio.Task[None] | None = None

    async def ask(self, prompt: Prompt) -> NDArray[np.float32]:
        """Probabilities of the labels, float32 [C]."""
        future: asyncio.Future[NDArray[np.float32]] = asyncio.get_running_loop().create_future()
        self.waiting.append((prompt, future))
        if self.running is None or self.running.done():
            self.running = asyncio.create_task(self.work())
        return await future

    async def work(self) -> None:
        while self.waiting:
            batch = [item for item in self.waiting[:MAX_BATCH] if not item[1].done()]
            del self.waiting[:MAX_BATCH]
            if batch:
                await self.run(batch)

    async def run(self, batch: list[tuple[Prompt, asyncio.Future[NDArray[np.float32]]]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            prompts = [prompt for prompt, _ in batch]
            rows = await loop.run_in_executor(self.thread, self.score, prompts)
            for (_, future), row in zip(batch, rows, strict=True):
                if not future.done():
                    future.set_result(np.exp(row))
        except Exception as error:  # noqa: BLE001 - the worker's boundary: every asker hears of it
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)


def parse_prompt(text: str) -> Prompt:
    """Takes a prompt apart as `graph.prompts` put it together; another text is a description."""
    head, found, rest = text.removeprefix(START).partition(MIDDLE)
    if not (text.startswith(START) and found and rest.endswith(END)):
        return Prompt("", text)
    return Prompt(head, rest.removesuffix(END))


def create_app(name: str, label_names: Sequence[str], score: Scorer) -> FastAPI:
    """The server of one teacher."""
    answerer = Answerer(score)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        answerer.thread.shutdown(cancel_futures=True)

    app = FastAPI(title=f"Teacher: {name}", lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "local"}]}

    @app.post("/v1/chat/completions")
    async def complete(request: ChatRequest) -> dict[str, Any]:
        if request.stream:
            raise HTTPException(422, "this server does not stream")
        probabilities = await answerer.ask(parse_prompt(request.messages[-1].content))
        label = label_names[int(probabilities.argmax())]
        wants_json = request.response_format is not None
        return completion(
            name,
            json.dumps({"category": label}) if wants_json else label,
            dict(zip(label_names, probabilities.astype(float).tolist(), strict=True)),
        )

    return app


def completion(name: str, content: str, scores: dict[str, float]) -> dict[str, Any]:
    """A chat completion; `label_scores` is beyond the format, and says how sure the teacher is."""
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
