"""Reading an endpoint's answer as a distribution over the labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CERTAINTY = 0.95  # of a named label, where the endpoint tells no probabilities
FLOOR = 1e-4  # probability of a label that no alternative names


@dataclass(frozen=True, slots=True)
class Reply:
    text: str
    label: int | None  # None: it names no label
    log_probabilities: tuple[float, ...] | None  # nats, one a label; None with `label`


def parse_reply(choice: dict[str, Any], label_names: Sequence[str]) -> Reply:
    """Reads one choice of a chat completion; KeyError and the like where it is none."""
    text = str(choice["message"]["content"] or "")
    label = find_label(text, label_names)
    if label is None:
        return Reply(text, None, None)
    weights = np.full(len(label_names), (1 - CERTAINTY) / max(len(label_names) - 1, 1))
    weights[label] = CERTAINTY
    alternatives = first_alternatives(choice)
    if alternatives:
        weights = weigh(alternatives, label, label_names)
    weights = np.maximum(weights, FLOOR)
    return Reply(text, label, tuple(np.log(weights / weights.sum()).tolist()))


def find_label(text: str, label_names: Sequence[str]) -> int | None:
    """The label that an answer is, or else the one label that is in its first line."""
    plain = normalize(text)
    names = [normalize(name) for name in label_names]
    if plain in names:
        return names.index(plain)
    first = f" {normalize(text.strip().partition(chr(10))[0])} "
    found = [index for index, name in enumerate(names) if name and f" {name} " in first]
    # "support vector machines" also holds "vector": the longest name that is there is meant.
    longest = [i for i in found if not any(i != j and names[i] in names[j] for j in found)]
    return longest[0] if len(longest) == 1 else None


def normalize(text: str) -> str:
    kept = "".join(c.lower() if c.isalnum() or c in "-+#." else " " for c in text)
    return " ".join(kept.split()).strip(".")


def first_alternatives(choice: dict[str, Any]) -> list[tuple[str, float]]:
    """The first answered token's alternatives with their probabilities; empty where not told."""
    content = (choice.get("logprobs") or {}).get("content") or []
    for position in content:
        if str(position["token"]).strip():
            told = [(str(e["token"]), float(e["logprob"])) for e in position["top_logprobs"]]
            return [(token, math.exp(value)) for token, value in told if token.strip()]
    return []


def weigh(alternatives: Sequence[tuple[str, float]], label: int, label_names: Sequence[str]) -> Any:
    """The probability of each label, float64 [C], not normalised, from first-token alternatives.

    An alternative's probability goes to the labels that start with it: to the answered one where
    that is among them, since the answer shows which was meant, else to all in equal shares.
    """
    weights = np.zeros(len(label_names))
    names = [name.lower() for name in label_names]
    for token, probability in alternatives:
        start = token.strip().lower()
        matching = [index for index, name in enumerate(names) if name.startswith(start)]
        if label in matching:
            weights[label] += probability
        elif matching:
            weights[matching] += probability / len(matching)
    return weights
