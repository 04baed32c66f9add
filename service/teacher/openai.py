"""A teacher behind an OpenAI-compatible server: vLLM, llama.cpp, Ollama, `teacher-serve`.

Plain httpx instead of the openai package: it is one POST, and deadlines, retries and connections
are the service's own affair.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from graph.prompts import Prompt
from service.errors import TeacherError
from service.teacher.backend import Opinion
from service.teacher.replies import find_label

Constraint = Literal["json_schema", "choice", "none"]
MAX_REPLY_BYTES = 2**20
SCORES_FIELD = "label_scores"  # beyond the OpenAI format; `understudy teacher-serve` adds it
SCORE_SUM_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class OpenAIOptions:
    url: str  # up to and without /chat/completions
    model: str
    key: str = field(default="", repr=False)  # sent as a bearer token
    constraint: Constraint = "json_schema"  # how the server is held to the labels
    timeout_seconds: float = 30.0  # of one question
    connections: int = 8


class OpenAITeacher:
    """Asks /chat/completions; the reply must be exactly one of the labels."""

    def __init__(self, options: OpenAIOptions) -> None:
        self.options = options
        headers = {"authorization": f"Bearer {options.key}"} if options.key else {}
        self.client = httpx.AsyncClient(
            headers=headers,
            timeout=options.timeout_seconds,
            limits=httpx.Limits(max_connections=options.connections),
        )

    @property
    def name(self) -> str:
        return f"{self.options.url}#{self.options.model}"

    async def ask(self, prompt: Prompt, label_names: Sequence[str]) -> Opinion:
        """See `TeacherBackend`."""
        try:
            async with asyncio.timeout(self.options.timeout_seconds):
                content = await self.post(self.body(prompt, label_names))
        except TimeoutError as error:
            raise TeacherError("the teacher gave no answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise TeacherError("the teacher cannot be reached") from error
        return parse_reply(content, label_names)

    async def post(self, body: dict[str, Any]) -> bytes:
        url = f"{self.options.url.rstrip('/')}/chat/completions"
        parts: list[bytes] = []
        size = 0
        async with self.client.stream("POST", url, json=body) as response:
            if response.status_code != 200:
                raise TeacherError(f"the teacher refused with status {response.status_code}")
            async for part in response.aiter_bytes():
                size += len(part)
                if size > MAX_REPLY_BYTES:
                    raise TeacherError("the teacher's answer has no end")
                parts.append(part)
        return b"".join(parts)

    def body(self, prompt: Prompt, label_names: Sequence[str]) -> dict[str, Any]:
        """The request; its words are those that a teacher is trained and asked with."""
        body: dict[str, Any] = {
            "model": self.options.model,
            "messages": [{"role": "user", "content": prompt.text}],
            "temperature": 0,
            # A token has at least a byte; the braces and the name of a JSON answer come on top.
            "max_tokens": max(len(name.encode()) for name in label_names) + 24,
        }
        if self.options.constraint == "choice":  # vLLM
            body["structured_outputs"] = {"choice": list(label_names)}
        elif self.options.constraint == "json_schema":
            schema = {
                "type": "object",
                "properties": {"category": {"type": "string", "enum": list(label_names)}},
                "required": ["category"],
                "additionalProperties": False,
            }
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "category", "strict": True, "schema": schema},
            }
        return body

    async def close(self) -> None:
        await self.client.aclose()


def parse_reply(content: bytes, label_names: Sequence[str]) -> Opinion:
    """Reads a chat completion.

    Raises:
        TeacherError: it is none, or names no label.
    """
    try:
        value = json.loads(content)
        text = value["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise TeacherError("the teacher does not answer like an OpenAI server") from error
    label = find_label(text, label_names) if isinstance(text, str) else None
    if label is None:
        raise TeacherError("the teacher's answer is none of the labels")
    return Opinion(label, valid_scores(value.get(SCORES_FIELD), label_names))


def valid_scores(value: Any, label_names: Sequence[str]) -> dict[str, float] | None:
    """Probabilities of exactly the labels; anything else counts as none."""
    if not isinstance(value, dict) or value.keys() != set(label_names):
        return None
    scores = list(value.values())
    numbers = all(isinstance(s, int | float) and 0 <= s <= 1 for s in scores)
    if not numbers or abs(sum(scores) - 1) > SCORE_SUM_TOLERANCE:
        return None
    return {name: float(value[name]) for name in label_names}
