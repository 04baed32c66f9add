"""A teacher behind an OpenAI-compatible server: vLLM, llama.cpp, Ollama, `teacher-serve`.

Plain httpx instead of the openai package: it is one POST, and deadlines, retries and connections
are the service's own affair.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from service.errors import SettingsError, TeacherError
from service.teacher.backend import Opinion
from service.teacher.completions import parse_completion
from service.teacher.refusals import refusal_reason
from understudy.graph.prompts import Prompt

Constraint = Literal["json_schema", "choice", "none"]
MAX_REPLY_BYTES = 2**20
MAX_REASON_BYTES = 2**14  # of a refusal, what is read
# A server closes an idle connection after some seconds (uvicorn after 5); ours goes before.
IDLE_SECONDS = 2.0
# Statuses by which a server refuses one question: others may well be answered.
OF_QUESTION = frozenset({400, 413, 414, 422})
WRONG_CONSTRAINT = frozenset({400, 422})


@dataclass(frozen=True, slots=True)
class OpenAIOptions:
    url: str  # up to and without /chat/completions
    model: str
    key: str = field(default="", repr=False)  # sent as a bearer token
    constraint: Constraint = "json_schema"  # how the server is held to the labels
    timeout_seconds: float = 30.0  # of one question, its whole answer included
    connections: int = 8


def check_endpoint(url: str, key: str) -> None:
    """Refuses what no request could be sent with.

    Raises:
        SettingsError: no URL of HTTP, or a key that no header can hold.
    """
    try:
        parsed = httpx.URL(url)
        usable = parsed.scheme in ("http", "https") and bool(parsed.host)
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        raise SettingsError(
            "--teacher-url is no URL of a server; expected something like http://host:8001/v1",
            setting="teacher_url",
        )
    if not (key.isascii() and key.isprintable()):
        raise SettingsError(
            "--teacher-key holds a character that no key has, such as a line's end",
            setting="teacher_key",
        )


class OpenAITeacher:
    """Asks /chat/completions; the reply must be exactly one of the labels."""

    def __init__(self, options: OpenAIOptions) -> None:
        self.options = options
        # Compressed, a small answer could become one without end.
        headers = {"accept-encoding": "identity"}
        if options.key:
            headers["authorization"] = f"Bearer {options.key}"
        self.client = httpx.AsyncClient(
            headers=headers,
            timeout=options.timeout_seconds,
            limits=httpx.Limits(max_connections=options.connections, keepalive_expiry=IDLE_SECONDS),
            follow_redirects=False,  # the key and the texts are for this server alone
        )

    @property
    def name(self) -> str:
        return f"{self.options.url}#{self.options.model}"

    async def ask(self, prompt: Prompt, label_names: Sequence[str]) -> Opinion:
        """See `TeacherBackend`."""
        try:
            async with asyncio.timeout(self.options.timeout_seconds):
                content = await self.post(prompt, label_names)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise TeacherError("the teacher gave no answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise TeacherError(
                "the teacher cannot be reached", reason=type(error).__name__
            ) from error
        return parse_completion(content, label_names)

    async def post(self, prompt: Prompt, label_names: Sequence[str]) -> bytes:
        """The bytes of the answer.

        Raises:
            TeacherError: it refuses, or its answer has no end or is compressed.
            httpx.HTTPError: it cannot be reached, or speaks no HTTP.
        """
        url = f"{self.options.url.rstrip('/')}/chat/completions"
        body = self.body(prompt, label_names)
        async with self.client.stream("POST", url, json=body) as response:
            if response.status_code != 200:
                raise await self.refusal(response, prompt)
            if response.headers.get("content-encoding", "identity") != "identity":
                raise TeacherError("the teacher's answer is compressed, which it was not asked to")
            content = await start_of(response, MAX_REPLY_BYTES + 1)
        if len(content) > MAX_REPLY_BYTES:
            raise TeacherError("the teacher's answer has no end")
        return content

    async def refusal(self, response: httpx.Response, prompt: Prompt) -> TeacherError:
        """The error of an answer whose status is not 200."""
        status = response.status_code
        content = await start_of(response, MAX_REASON_BYTES)
        reasons = [refusal_reason(content, prompt, self.options.key)]
        if status in WRONG_CONSTRAINT and self.options.constraint != "none":
            reasons.append(
                f"if it does not know the constraint {self.options.constraint}, choose another "
                "with --teacher-constraint"
            )
        return TeacherError(
            f"the teacher refused with status {status}",
            reason="; ".join(filter(None, reasons)),
            of_question=status in OF_QUESTION,
        )

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


async def start_of(response: httpx.Response, limit: int) -> bytes:
    """At most the first `limit` bytes, as they come; the rest is left."""
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_raw():
        parts.append(part)
        size += len(part)
        if size >= limit:
            break
    return b"".join(parts)[:limit]
