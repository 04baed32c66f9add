"""Asks a decision endpoint: the probabilities of all labels in one call, or in two if many."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np

from understudy.endpoint.asker import Reply, Usage
from understudy.endpoint.decisions.forms import FORMS, INSTRUCTIONS
from understudy.endpoint.decisions.rounds import Labels, Shares, finalists, first_questions, joined
from understudy.endpoint.errors import LateError, TooManyLabelsError
from understudy.endpoint.options import ClientOptions
from understudy.endpoint.server import Server
from understudy.graph.prompts import Prompt


class DecisionAsker:
    """An `Asker` for /decisions or /systemone.

    Args:
        descriptions: label → a line about it, for labels that have one.
    """

    def __init__(
        self, options: ClientOptions, descriptions: Mapping[str, str] | None = None
    ) -> None:
        self.options, self.questions = options, FORMS[options.wire]
        self.descriptions = dict(descriptions or {})
        self.server = Server(options)

    @property
    def form(self) -> str:
        """See `Asker`."""
        prompt_parts = json.dumps([INSTRUCTIONS, self.descriptions], sort_keys=True)
        wording = hashlib.sha256(prompt_parts.encode()).hexdigest()[:16]
        return f"{self.options.wire} wording={wording} choices={self.options.most_choices}"

    async def ask(self, prompt: Prompt, label_names: Sequence[str]) -> Reply:
        """See `Asker`."""
        try:
            async with asyncio.timeout(self.options.timeout_seconds):
                return await self.in_rounds(prompt, label_names)
        except TimeoutError as error:
            raise LateError("no answer in time") from error

    async def in_rounds(self, prompt: Prompt, label_names: Sequence[str]) -> Reply:
        """Asks in one round, or two; see `understudy.endpoint.decisions.rounds`."""
        most = self.options.most_choices
        questions = first_questions(len(label_names), most)
        if len(questions) > most:
            raise TooManyLabelsError(
                f"{len(label_names):,} labels are more than two rounds of {most} options can decide"
            )
        answers, spent = await self.round(prompt, questions, label_names)
        if answers is None:
            return Reply("", None, usage=spent)
        found = answers[0]
        if len(questions) > 1:
            best = finalists(questions, answers, most)
            final, usage = await self.round(prompt, [np.concatenate(best)], label_names)
            spent += usage
            if final is None:
                return Reply("", None, usage=spent)
            found = joined(questions, answers, best, final[0])
        label = int(found.argmax())
        return Reply(label_names[label], label, tuple(np.log(found).tolist()), spent)

    async def round(
        self, prompt: Prompt, questions: Sequence[Labels], label_names: Sequence[str]
    ) -> tuple[list[Shares] | None, Usage]:
        """Sends one request; None if one of its questions is refused."""
        names = [[label_names[label] for label in labels] for labels in questions]
        body = self.questions.body(prompt.description, names, self.descriptions)
        content = await self.server.post(
            self.questions.path, {"model": self.options.model, **body}, prompt
        )
        answers, usage = self.questions.read(content, names)
        answered = [shares for shares in answers if shares is not None]
        return (answered if len(answered) == len(answers) else None), usage

    async def close(self) -> None:
        await self.server.close()
