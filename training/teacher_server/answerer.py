"""Runs the teacher on one thread; prompts that arrive meanwhile are answered together."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.teacher_server.errors import AnswerError, BusyError
from understudy.graph.prompts import Prompt

MAX_BATCH = 16  # maximum prompts answered together
MAX_WAITING = 1_024  # maximum waiting prompts; more are refused

log = logging.getLogger(__name__)


class Scorer(Protocol):
    """Maps prompts of one instruction to log-probabilities of the labels, float32 [P, C]."""

    def __call__(self, prompts: Sequence[Prompt]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    prompt: Prompt
    answer: asyncio.Future[NDArray[np.float32]]


class Answerer:
    """Answers every question with its own row or error, independent of the others."""

    def __init__(self, score: Scorer) -> None:
        self.score = score
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="teacher")
        self.waiting: list[Question] = []
        self.running: asyncio.Task[None] | None = None

    async def ask(self, prompt: Prompt) -> NDArray[np.float32]:
        """Probabilities of the labels, float32 [C].

        Raises:
            BusyError: too many questions wait.
            AnswerError: the teacher failed.
        """
        if len(self.waiting) >= MAX_WAITING:
            raise BusyError("too many questions wait; ask again later")
        question = Question(prompt, asyncio.get_running_loop().create_future())
        self.waiting.append(question)
        if self.running is None or self.running.done():
            self.running = asyncio.create_task(self.work())
        return await question.answer

    async def work(self) -> None:
        while self.waiting:
            await self.run(self.next_batch())

    def next_batch(self) -> list[Question]:
        """The next questions with the same instruction, which a teacher may read once for all."""
        self.waiting = [question for question in self.waiting if not question.answer.done()]
        if not self.waiting:
            return []
        instruction = self.waiting[0].prompt.instruction
        alike = [q for q in self.waiting if q.prompt.instruction == instruction][:MAX_BATCH]
        taken = set(map(id, alike))
        self.waiting = [question for question in self.waiting if id(question) not in taken]
        return alike

    async def run(self, batch: Sequence[Question]) -> None:
        if not batch:
            return
        loop = asyncio.get_running_loop()
        prompts = [question.prompt for question in batch]
        try:
            rows = await loop.run_in_executor(self.thread, self.score, prompts)
            if rows.shape[0] != len(batch) or not np.isfinite(rows).all():
                raise AnswerError("the teacher returned no probabilities")
        except Exception as error:  # noqa: BLE001 - the worker's boundary: every asker hears of it
            if len(batch) > 1:  # one prompt may be to blame, so each is retried alone
                for question in batch:
                    await self.run([question])
                return
            log.warning("a prompt could not be answered: %s", type(error).__name__)
            settle(batch[0], AnswerError("the teacher failed on this prompt"))
            return
        for question, row in zip(batch, rows, strict=True):
            settle(question, np.exp(row))

    def close(self) -> None:
        self.thread.shutdown(wait=False, cancel_futures=True)


def settle(question: Question, result: NDArray[np.float32] | AnswerError) -> None:
    """Sets the answer, unless the asker has left."""
    if question.answer.done():
        return
    if isinstance(result, AnswerError):
        question.answer.set_exception(result)
    else:
        question.answer.set_result(result)
