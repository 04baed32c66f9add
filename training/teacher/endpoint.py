"""A teacher behind an OpenAI-compatible endpoint: labels, and their probabilities where offered.

Every answer is appended to a file at once and never asked for again, so neither a kill nor an
error loses what was paid for.
"""

import json
import logging
import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np
from numpy.typing import NDArray

from training.errors import EndpointError
from training.teacher.replies import Reply, parse_reply
from understudy.graph.progress import Progress, silent
from understudy.graph.prompts import Prompt

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
STAGE = "Asking the endpoint"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    url: str  # up to and without /chat/completions
    model: str
    key: str = field(default="", repr=False)  # sent as a bearer token
    concurrency: int = 8  # requests at a time
    attempts: int = 6  # of one request, at most
    backoff: float = 1.0  # seconds before the second attempt; doubles from one to the next
    longest_wait: float = 60.0  # seconds, between two attempts
    timeout: float = 120.0  # seconds, of one request
    top: int = 20  # alternatives asked for at each token; 0 asks for none
    nonsense: float = 0.5  # share of unreadable answers at which the run stops
    input_price: float = 0.0  # of a million prompt tokens, in any currency
    output_price: float = 0.0  # of a million answered tokens


@dataclass(slots=True)
class Usage:
    questions: int = 0
    requests: int = 0  # answered; a question may need several
    retries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    unreadable: int = 0  # answers that name no label

    def cost(self, options: EndpointOptions) -> float:
        paid = self.input_tokens * options.input_price + self.output_tokens * options.output_price
        return paid / 1_000_000


class Endpoint:
    """One client, shared by the threads that ask; a context manager that closes it."""

    def __init__(self, options: EndpointOptions, label_names: Sequence[str]) -> None:
        self.options, self.label_names = options, tuple(label_names)
        headers = {"Authorization": f"Bearer {options.key}"} if options.key else {}
        self.client = httpx.Client(timeout=options.timeout, headers=headers)
        self.usage = Usage()
        self.lock = threading.Lock()
        self.stopping = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def ask(self, prompt: Prompt) -> Reply:
        """One answer, asked for again after an overload, a failure, or an unreadable answer.

        Raises:
            EndpointError: it refuses, or fails at every attempt.
        """
        reply = Reply("", None, None)
        problem = ""
        for attempt in range(self.options.attempts):
            try:
                response = self.client.post(
                    f"{self.options.url.rstrip('/')}/chat/completions", json=self.body(prompt)
                )
                problem = f"status {response.status_code}"
                delay = retry_after(response)
            except httpx.TransportError as error:
                response, problem, delay = None, f"{type(error).__name__}: {error}", None
            if response is not None and response.status_code == 200:
                reply = self.read(response)
                # Asking twice may help a sampled answer; a greedy one stays what it is.
                if reply.label is not None or attempt >= 1:
                    return reply
                continue
            if response is not None and response.status_code not in RETRIED:
                raise EndpointError(
                    f"{self.options.url} refused a request: {problem}: {response.text[:200]}"
                )
            if attempt + 1 < self.options.attempts:
                self.pause(attempt, delay)
        raise EndpointError(
            f"{self.options.url} failed {self.options.attempts} times, last with {problem}; "
            "what was answered is kept: run the same command again to go on"
        )

    def body(self, prompt: Prompt) -> dict[str, Any]:
        value: dict[str, Any] = {
            "model": self.options.model,
            "messages": [{"role": "user", "content": prompt.text}],
            "temperature": 0,
            "max_tokens": max(len(name) for name in self.label_names) + 8,
        }
        if self.options.top:
            value |= {"logprobs": True, "top_logprobs": self.options.top}
        return value

    def read(self, response: httpx.Response) -> Reply:
        try:
            value = response.json()
            reply = parse_reply(value["choices"][0], self.label_names)
            usage = value.get("usage") or {}
            tokens = [int(usage.get(f"{part}_tokens") or 0) for part in ("prompt", "completion")]
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise EndpointError(
                f"{self.options.url} does not answer like an OpenAI endpoint: {response.text[:200]}"
            ) from error
        with self.lock:
            self.usage.requests += 1
            self.usage.input_tokens += tokens[0]
            self.usage.output_tokens += tokens[1]
        return reply

    def pause(self, attempt: int, delay: float | None) -> None:
        """Waits as long as the endpoint asked, or ever longer; a stop ends it at once."""
        with self.lock:
            self.usage.retries += 1
        doubled = self.options.backoff * 2**attempt * random.uniform(0.75, 1.25)
        self.stopping.wait(min(doubled if delay is None else delay, self.options.longest_wait))
        if self.stopping.is_set():
            raise EndpointError("stopped")


def retry_after(response: httpx.Response) -> float | None:
    """Seconds, where the header gives them as a number."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.replace(".", "", 1).isdigit() else None


def ask_all(
    endpoint: Endpoint, prompts: Sequence[Prompt], path: Path, progress: Progress = silent
) -> NDArray[np.float32]:
    """Log-probabilities of every prompt, float32 [P, C]; answers in the file `path` are reused.

    Raises:
        EndpointError: it refuses, fails for good, or answers mostly nonsense.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    answers: dict[int, Sequence[float] | None] = dict(stored_answers(path, len(prompts)))
    missing = [index for index in range(len(prompts)) if index not in answers]
    progress(STAGE, len(answers), len(prompts))
    with path.open("a", encoding="utf-8") as stream:
        stream.write("\n")  # ends a line that a kill cut off; an empty line is passed over
        for index, reply in concurrently(endpoint, prompts, missing):
            answers[index] = reply.log_probabilities
            record = {"index": index, "text": reply.text, "label": reply.label}
            values = None if reply.log_probabilities is None else list(reply.log_probabilities)
            stream.write(json.dumps({**record, "log_probabilities": values}) + "\n")
            stream.flush()
            check_sense(endpoint, reply)
            progress(STAGE, len(answers), len(prompts))
    count = len(endpoint.label_names)
    unknown = np.full(count, -np.log(count))  # an unreadable answer says nothing
    rows = [answers[index] for index in range(len(prompts))]
    return np.array([unknown if row is None else row for row in rows], dtype=np.float32)


def concurrently(
    endpoint: Endpoint, prompts: Sequence[Prompt], indices: Sequence[int]
) -> Iterator[tuple[int, Reply]]:
    """Answers as they come, with a bounded number of requests at a time."""
    waiting = iter(indices)
    pending: dict[Future[Reply], int] = {}
    failure: BaseException | None = None
    with ThreadPoolExecutor(endpoint.options.concurrency) as pool:
        try:
            while True:
                while failure is None and len(pending) < endpoint.options.concurrency:
                    index = next(waiting, None)
                    if index is None:
                        break
                    pending[pool.submit(endpoint.ask, prompts[index])] = index
                if not pending:
                    break
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    index = pending.pop(future)
                    if (error := future.exception()) is None:
                        yield index, future.result()
                    else:  # what is on its way is paid for: it is awaited and kept
                        failure = failure or error
                        endpoint.stopping.set()
        finally:
            endpoint.stopping.set()
    if failure is not None:
        raise failure


def check_sense(endpoint: Endpoint, reply: Reply) -> None:
    """Stops a run whose answers name no label, before all of it is paid for."""
    usage, least = endpoint.usage, 20
    usage.questions += 1
    usage.unreadable += reply.label is None
    if usage.questions >= least and usage.unreadable / usage.questions > endpoint.options.nonsense:
        raise EndpointError(
            f"{endpoint.options.url} answered {usage.unreadable} of {usage.questions} questions "
            f"with none of the labels, for example {reply.text[:80]!r}; try another model"
        )


def stored_answers(path: Path, count: int) -> Iterator[tuple[int, list[float] | None]]:
    """What earlier runs were answered; a line that a kill cut off is asked again."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            value = json.loads(line)
            index, row = int(value["index"]), value["log_probabilities"]
        except (ValueError, KeyError, TypeError):
            continue
        if 0 <= index < count:
            yield index, row
