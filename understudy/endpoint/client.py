"""Asks an OpenAI-compatible server for a label: vLLM, llama.cpp, Ollama, `teacher-serve`."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import httpx2
import openai

from understudy.endpoint.answers import read_reply, thoughts_of
from understudy.endpoint.asker import Reply, Usage
from understudy.endpoint.completions import Completion, read_completion
from understudy.endpoint.errors import (
    EndpointError,
    LateError,
    RefusedError,
    UnreachableError,
)
from understudy.endpoint.forms import Form, Forms
from understudy.endpoint.options import ClientOptions
from understudy.endpoint.question import request_body
from understudy.endpoint.refusals import refusal_reason
from understudy.endpoint.wire import Wire
from understudy.graph.prompts import Prompt

# Statuses by which a server may mean a field that it does not know.
UNKNOWN_FIELD = frozenset({400, 422})


class ChatClient:
    """An `Asker` of /chat/completions."""

    def __init__(self, options: ClientOptions) -> None:
        self.options = options
        self.forms = Forms(options)
        self.finding = asyncio.Lock()  # one question at a time finds out the form
        http = Wire(options.key).client(options.timeout_seconds, options.connections)
        # The wire alone knows the key. Who asks decides what is asked again.
        self.api = openai.AsyncOpenAI(
            api_key="-", base_url=options.url, http_client=http, max_retries=0
        )

    @property
    def form(self) -> str:
        """See `Asker`."""
        o = self.options
        return f"chat constraint={o.constraint} thinking={o.thinking} top={o.top} exact={o.exact}"

    async def ask(self, prompt: Prompt, label_names: Sequence[str]) -> Reply:
        """See `Asker`."""
        try:
            async with asyncio.timeout(self.options.timeout_seconds):
                if not self.forms.settled:
                    async with self.finding:
                        if not self.forms.settled:
                            return await self.asked(prompt, label_names)
                return await self.asked(prompt, label_names)
        except (TimeoutError, openai.APITimeoutError) as error:
            raise LateError("no answer in time") from error

    async def asked(self, prompt: Prompt, label_names: Sequence[str]) -> Reply:
        """Asks in the form that the server takes, which the first questions find out."""
        form: Form = self.forms.current
        spent = Usage()
        while True:
            body = request_body(prompt, label_names, self.options, form.constraint, form.thinking)
            try:
                completion = await self.post(body, prompt)
            except RefusedError as error:
                spent += Usage(1)
                other = self.forms.refused(form) if error.status in UNKNOWN_FIELD else None
                if other is None:
                    raise
                form = other
                continue
            reply = read_reply(completion, label_names, self.options.exact)
            spent += reply.usage
            self.forms.accepted(form, self.options.url)
            other = self.forms.thought(form) if thoughts_of(completion.choices[0]) else None
            if other is None:
                if reply.text and not reply.cut:
                    self.forms.check(form, reply.text, reply.label, self.options.url)
                self.forms.settle(form, self.options.url)
                return replace(reply, usage=spent)
            form = other

    async def post(self, body: dict[str, Any], prompt: Prompt) -> Completion:
        """Sends one request.

        Raises:
            EndpointError: no answer with status 200, or one that is no completion.
        """
        known = {"model", "messages"}
        try:
            answer = await self.api.chat.completions.with_raw_response.create(
                model=body["model"],
                messages=body["messages"],
                extra_body={name: value for name, value in body.items() if name not in known},
            )
        except openai.APIStatusError as error:
            raise self.refusal(error.response, prompt) from error
        except openai.APITimeoutError:
            raise
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, EndpointError):
                raise error.__cause__ from None
            reason = type(error.__cause__ or error).__name__
            raise UnreachableError("cannot be reached", reason) from error
        if answer.status_code != 200:
            raise self.refusal(answer.http_response, prompt)
        return read_completion(answer.http_response.content)

    def refusal(self, response: httpx2.Response, prompt: Prompt) -> RefusedError:
        reason = refusal_reason(response.content, prompt, self.options.key)
        return RefusedError(response.status_code, reason, retry_after(response))

    async def close(self) -> None:
        await self.api.close()


def retry_after(response: httpx2.Response) -> float | None:
    """Seconds that the server asks to wait; None where it does not say."""
    value = response.headers.get("retry-after", "")
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(value).timestamp() - time(), 0.0)
    except ValueError:
        return None
