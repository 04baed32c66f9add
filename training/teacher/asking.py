"""Asks an endpoint of any form many questions: a bounded number at a time, with retries.

Answers are kept on disk, so an error or a kill loses none, and the same call resumes.
"""

import asyncio
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace

import numpy as np
from anyio.from_thread import BlockingPortal, start_blocking_portal
from numpy.typing import NDArray

from training.errors import EndpointError, NonsenseError
from training.teacher.answer_cache import KeptAnswers
from training.teacher.cost import Bill, estimated_usage, tell_estimate, tell_measured
from training.teacher.endpoint import EndpointOptions
from understudy.counting import counted
from understudy.endpoint.answers import nearly_certain
from understudy.endpoint.asker import Asker, Reply
from understudy.endpoint.errors import EndpointError as AskError
from understudy.endpoint.errors import MalformedError, RefusedError
from understudy.graph.prompts import Prompt
from understudy.progress import Progress, silent

STAGE = "Asking the endpoint"
GOES_ON = "; answers are kept: run the same command again to resume"
LEAST = 20  # number of answers before nonsense is judged
LAST_SECONDS = 5.0  # wait for pending answers when a signal ends the run
Pending = dict[Future[Reply], int]  # pending answer → index of its prompt
log = logging.getLogger(__name__)


class Questioner:
    """Asks questions until each is answered; sums up the charges in `bill`."""

    def __init__(self, asker: Asker, label_names: Sequence[str], options: EndpointOptions) -> None:
        self.asker, self.label_names, self.options = asker, tuple(label_names), options
        self.bill = Bill()
        self.proven = False  # has answered once: later refusals concern single questions
        self.refused = 0  # number of refused questions
        self.estimating = False  # the server does not report token counts
        self.stopping = asyncio.Event()

    @property
    def solvent(self) -> bool:
        """Whether the budget allows more questions."""
        most = self.options.most_money
        return not most or self.bill.cost(self.options) < most

    async def ask(self, prompt: Prompt) -> Reply:
        """Gets one answer, retrying after an overload, a failure, or an unreadable answer.

        Raises:
            EndpointError: it refuses, or fails at every attempt.
        """
        spent: Reply | None = None
        problem: AskError | None = None
        garbled = False  # an answer could not be read: cut off, perhaps, and whole the next time
        for attempt in range(self.options.attempts):
            try:
                reply = await self.asker.ask(prompt, self.label_names)
            except AskError as error:
                malformed = isinstance(error, MalformedError)
                over = garbled or attempt + 1 == self.options.attempts
                if self.proven and (error.of_question or (malformed and over)):
                    return self.left_out(error)
                if not error.passing and not (self.proven and malformed):
                    raise self.endpoint_error(error) from error
                garbled = garbled or malformed
                problem = error
                if attempt + 1 < self.options.attempts:
                    await self.pause(attempt, error.retry_after)
                continue
            self.proven = True
            if spent is not None:
                reply = replace(reply, usage=spent.usage + reply.usage)
            # A second attempt may improve a sampled answer, but not a greedy one.
            if reply.label is not None or spent is not None:
                return reply
            spent = reply
        if spent is not None:
            return spent
        raise EndpointError(
            f"{self.options.url} failed {self.options.attempts} times, the last time: "
            f"{described(problem)}{GOES_ON}"
        )

    def charge(self, prompt: Prompt, reply: Reply) -> None:
        """Adds an answer to the bill; missing token counts are estimated if tokens cost money."""
        counted = reply.usage.input_tokens or reply.usage.output_tokens
        if self.options.priced and reply.text is not None and not counted:
            if not self.estimating:
                log.warning("%s does not tell its tokens: they are estimated", self.options.url)
            self.estimating = True
            reply = replace(reply, usage=estimated_usage(prompt, reply.usage.requests))
        self.bill.add(reply)

    def left_out(self, error: AskError) -> Reply:
        """The reply to a question that fails by itself, such as a text that is too long."""
        if not self.refused:
            log.warning("a question was not answered: %s", self.endpoint_error(error))
        self.refused += 1
        return Reply(None, None)

    def endpoint_error(self, error: AskError) -> EndpointError:
        """The error that ends the run, with advice in terms of the command line."""
        if isinstance(error, MalformedError):
            return EndpointError(
                f"{self.options.url} does not answer like {self.options.form}: {described(error)}"
            )
        if not isinstance(error, RefusedError):
            return EndpointError(f"{self.options.url}: {described(error)}")
        hint = GOES_ON if self.proven and not error.of_question else ""
        if error.of_question and self.options.constraint not in ("auto", "none"):
            hint = f"; if it does not know {self.options.constraint}, choose another --constraint"
        if error.of_question and self.options.wire != "chat":
            hint = "; if it accepts fewer options per question, set --max-choices"
        return EndpointError(
            f"{self.options.url} refused a request: status {error.status}: {error.reason}{hint}"
        )

    async def pause(self, attempt: int, delay: float | None) -> None:
        """Waits with exponential backoff, and at least as long as asked; a stop ends the wait."""
        self.bill.retries += 1
        doubled = self.options.backoff * 2**attempt * random.uniform(0.75, 1.25)
        seconds = min(max(delay or 0.0, doubled), self.options.longest_wait)
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return
        raise EndpointError("stopped")


def described(error: AskError | None) -> str:
    if isinstance(error, RefusedError):  # for example 429 if the account has no money left
        return f"status {error.status}{f': {error.reason}' if error.reason else ''}"
    return f"{error}{f' ({error.reason})' if error and error.reason else ''}"


def ask_all(
    asker: Asker,
    prompts: Sequence[Prompt],
    label_names: Sequence[str],
    options: EndpointOptions,
    kept: KeptAnswers,
    progress: Progress = silent,
) -> tuple[NDArray[np.float32], Bill]:
    """Log-probabilities of every prompt, float32 [P, C], and their cost; closes the asker.

    Kept answers are not requested again. An answer without a label gives a uniform row; if a run
    ends because most answers are like that, none of these is kept. If the money runs out, the
    remaining prompts get NaN.

    Raises:
        EndpointError: it refuses, fails permanently, or answers mostly nonsense.
    """
    questioner = Questioner(asker, label_names, options)
    replies = {i: reply for i, prompt in enumerate(prompts) if (reply := kept.get(prompt))}
    questioner.proven = bool(replies)
    kept.tell_elsewhere()
    nameless = sum(reply.label is None for reply in replies.values())
    if nameless:
        log.warning("%d of %d cached answers name no label", nameless, len(replies))
    missing = [index for index in range(len(prompts)) if index not in replies]
    if missing:
        calls = options.calls(len(label_names))
        tell_estimate([prompts[index] for index in missing], len(replies), calls, options)
    progress(STAGE, len(replies), len(prompts))
    pending: Pending = {}
    with start_blocking_portal() as portal:
        try:
            for index, reply in concurrently(portal, questioner, prompts, missing, pending):
                if reply.text is not None:
                    kept.put(prompts[index], reply)
                replies[index] = reply
                questioner.charge(prompts[index], reply)
                if (bill := questioner.bill).questions >= LEAST:
                    check_sense(reply, bill.unreadable, bill.questions, options)
                tell_measured(bill, len(missing), options)
                progress(STAGE, len(replies), len(prompts))
            # Covers answers of earlier runs, and runs too short for the check above.
            wrong = [reply for reply in replies.values() if reply.label is None]
            if wrong:
                check_sense(wrong[-1], len(wrong), len(replies), options)
        except NonsenseError:
            kept.forget(prompts[index] for index, reply in replies.items() if reply.label is None)
            raise
        except (KeyboardInterrupt, SystemExit):
            portal.call(questioner.stopping.set)
            keep_last(prompts, pending, kept)
            raise
        finally:
            for future in pending:  # these results are no longer needed
                future.cancel()
            portal.call(asker.close)
    if len(replies) < len(prompts):
        log.warning(
            "--budget-money is spent: %d of %d questions were asked", len(replies), len(prompts)
        )
    return answer_rows(replies, len(prompts), len(label_names)), questioner.bill


def answer_rows(replies: Mapping[int, Reply], prompts: int, classes: int) -> NDArray[np.float32]:
    """Log-probabilities, float32 [P, C]: NaN for a prompt without a reply, and the same for all
    classes if a reply tells nothing of them.
    """
    rows = np.full((prompts, classes), np.nan, dtype=np.float32)
    for index, reply in replies.items():
        rows[index] = nearly_certain(reply, classes) or -np.log(classes)
    return rows


def concurrently(
    portal: BlockingPortal,
    questioner: Questioner,
    prompts: Sequence[Prompt],
    indices: Sequence[int],
    pending: Pending,
) -> Iterator[tuple[int, Reply]]:
    """Yields answers as they come, with a bounded number of questions at a time.

    Args:
        pending: holds pending answers, and each finished one until the next is requested.
    """
    waiting = iter(indices)
    failure: BaseException | None = None
    while True:
        while (
            failure is None and questioner.solvent and len(pending) < questioner.options.concurrency
        ):
            index = next(waiting, None)
            if index is None:
                break
            pending[portal.start_task_soon(questioner.ask, prompts[index])] = index
        if not pending:
            break
        done, _ = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            if (error := future.exception()) is None:
                yield pending[future], future.result()
            else:  # pending answers are paid for, so they are awaited and kept
                failure = failure or error
                portal.call(questioner.stopping.set)
            del pending[future]
    if failure is not None:
        raise failure


def keep_last(prompts: Sequence[Prompt], pending: Pending, kept: KeptAnswers) -> None:
    """Keeps pending answers, which are paid for, when a signal ends the run; another signal ends
    this at once, and late answers are lost.
    """
    done, late = wait(pending, LAST_SECONDS)
    for future in done:
        if future.exception() is None and (reply := future.result()).text is not None:
            kept.put(prompts[pending[future]], reply)
    if late:
        log.warning("did not arrive in time and is lost: %s", counted(len(late), "answer"))


def check_sense(reply: Reply, unreadable: int, answers: int, options: EndpointOptions) -> None:
    """Stops a run whose answers name no label before more is spent.

    Args:
        reply: the last one, quoted if it names no label.

    Raises:
        NonsenseError: too many answers name no label.
    """
    if unreadable / answers <= options.nonsense:
        return
    if reply.text is None:
        last = "the last one with no answer, for the reason given above"
    elif reply.refusal:
        last = f"the last one refused: {reply.refusal[:200]!r}; try another model"
    else:
        hint = (
            "it is cut off; let the model think with --thinking wait"
            if reply.cut
            else "try another model"
        )
        last = f"for example {reply.text[:80]!r}; {hint}"
    raise NonsenseError(
        f"{options.url} answered {unreadable} of {answers} questions with none of the labels, "
        f"{last}"
    )
