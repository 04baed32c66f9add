"""Asks an OpenAI-compatible server for a label: vLLM, llama.cpp, Ollama, `teacher-serve`."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from understudy.endpoint.answers import read_reply, thoughts_of
from understudy.endpoint.asker import Reply, Usage
from understudy.endpoint.completions import read_completion
from understudy.endpoint.errors import LateError, RefusedError
from understudy.endpoint.forms import Form, Forms
from understudy.endpoint.options import ClientOptions
from understudy.endpoint.question import request_body
from understudy.endpoint.server import Server
from understudy.graph.prompts import Prompt

PATH = "/chat/completions"
# Statuses that may mean an unknown field.
UNKNOWN_FIELD = frozenset({400, 422})


class ChatClient:
    """An `Asker` for /chat/completions."""

    def __init__(self, options: ClientOptions) -> None:
        self.options = options
        self.forms = Forms(options)
        self.finding = asyncio.Lock()  # only one question at a time negotiates the form
        self.server = Server(options)

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
                            return await self.send(prompt, label_names)
                return await self.send(prompt, label_names)
        except TimeoutError as error:
            raise LateError("no answer in time") from error

    async def send(self, prompt: Prompt, label_names: Sequence[str]) -> Reply:
        """Asks in the form that the server accepts, which the first questions determine."""
        form: Form = self.forms.current
        spent = Usage()
        while True:
            body = request_body(prompt, label_names, self.options, form.constraint, form.thinking)
            try:
                completion = read_completion(await self.server.post(PATH, body, prompt))
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

    async def close(self) -> None:
        await self.server.close()
