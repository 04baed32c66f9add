"""The cost of asking an endpoint: estimated first, measured on the first answers, and the bill."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from training.teacher.endpoint import EndpointOptions
from understudy.counting import counted
from understudy.endpoint.asker import Reply, Usage
from understudy.graph.prompts import CHARACTERS_PER_TOKEN, Prompt

MEASURED = 20  # number of answers after which the estimate is revised
ANSWER_TOKENS = 8  # assumed per answer until one is known
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Bill:
    """The charges of a run; answers kept from earlier runs are not included."""

    questions: int = 0
    requests: int = 0  # answered; a question may need several
    retries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    unreadable: int = 0  # answers that name no label

    def add(self, reply: Reply) -> None:
        self.questions += 1
        self.requests += reply.usage.requests
        self.input_tokens += reply.usage.input_tokens
        self.output_tokens += reply.usage.output_tokens
        self.unreadable += reply.label is None

    def cost(self, options: EndpointOptions) -> float:
        """In the currency of the prices."""
        return price(self.input_tokens, self.output_tokens, options)


def price(input_tokens: float, output_tokens: float, options: EndpointOptions) -> float:
    paid = input_tokens * options.input_price + output_tokens * options.output_price
    return paid / 1_000_000


def estimated_usage(prompt: Prompt, requests: int = 1) -> Usage:
    """Estimates the usage of a question without the server."""
    tokens = round(len(prompt.text) / CHARACTERS_PER_TOKEN)
    return Usage(requests, requests * tokens, requests * ANSWER_TOKENS)


def estimate(prompt: Prompt, options: EndpointOptions) -> float:
    """Estimates the cost of one question."""
    return price(len(prompt.text) / CHARACTERS_PER_TOKEN, ANSWER_TOKENS, options)


def tell_estimate(
    missing: Sequence[Prompt], known: int, calls: int, options: EndpointOptions
) -> None:
    """Logs what is about to be asked, and the approximate cost.

    Args:
        calls: number of requests per question
    """
    tokens = calls * sum(len(prompt.text) for prompt in missing) / CHARACTERS_PER_TOKEN
    words = amounts(tokens, calls * ANSWER_TOKENS * len(missing), options)
    log.warning(
        "asking %s %s, about %s; answered already: %d",
        options.model,
        counted(len(missing), "question"),
        words,
        known,
    )


def tell_measured(bill: Bill, total: int, options: EndpointOptions) -> None:
    """Logs the projected total cost once enough answers are measured."""
    if bill.questions == MEASURED < total:
        if not bill.input_tokens + bill.output_tokens:
            log.warning("%s does not tell its tokens: the estimate stands", options.url)
            return
        times = total / bill.questions
        words = amounts(times * bill.input_tokens, times * bill.output_tokens, options)
        log.warning("judging by the first %d answers, all %d will cost %s", MEASURED, total, words)


def amounts(input_tokens: float, output_tokens: float, options: EndpointOptions) -> str:
    words = f"{input_tokens:,.0f} tokens of prompts and {output_tokens:,.0f} of answers"
    if not options.priced:
        return words
    return f"{words} (cost {price(input_tokens, output_tokens, options):.4g} at the given prices)"
