"""What the teacher's answers cost."""

from dataclasses import dataclass

from service.messages import Cost
from understudy.graph.prompts import CHARACTERS_PER_TOKEN, Prompt

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of a million tokens, in any currency; 0 if not given."""

    input: float = 0.0
    output: float = 0.0


def question_cost(prompt: Prompt, label: str, free: bool, prices: Prices) -> Cost:
    """Estimates the cost of one question, with tokens from characters; 0 if it was free.

    The service does not have the teacher's tokenizer.
    """
    if free:
        return Cost(input_tokens=0, output_tokens=0, money=0.0 if priced(prices) else None)
    read = -(-len(prompt.text) // CHARACTERS_PER_TOKEN)
    written = -(-len(label) // CHARACTERS_PER_TOKEN)
    money = (read * prices.input + written * prices.output) / MILLION
    return Cost(None, read, written, money if priced(prices) else None)


def priced(prices: Prices) -> bool:
    return prices.input > 0 or prices.output > 0
