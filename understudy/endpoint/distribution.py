"""Computes the labels' probabilities from the alternatives of an answer's tokens."""

import json
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.endpoint.completions import Position

CERTAINTY = 0.95  # of a named label, if the endpoint reports no probabilities
FLOOR = 1e-4  # probability of a label that no alternative names
LEADING = re.compile(r"\A[\s\"'`*_(:\u0120\u2581]+")  # may precede a label in its token
ALPHANUMERIC = re.compile(r"[^\W_]")
MOST = 1.05  # bound of the sum of a token's rounded alternatives


def certain(label: int, classes: int) -> NDArray[np.float64]:
    """float64 [C]: nearly all for the named label."""
    weights = np.full(classes, (1 - CERTAINTY) / max(classes - 1, 1))
    weights[label] = CERTAINTY
    return weights


def log_probabilities(
    weights: NDArray[np.float64], label: int, floor: float = FLOOR
) -> tuple[float, ...]:
    """In nats, one per label; no label gets more than the answered one."""
    weights = np.maximum(weights / weights.sum(), floor)
    weights[label] = weights.max()
    return tuple(np.log(weights / weights.sum()).tolist())


def label_weights(
    positions: Sequence[Position], answer: str, start: int, label: int, label_names: Sequence[str]
) -> NDArray[np.float64] | None:
    """The labels' weights, float64 [C]; None if the answer is not found in the tokens, or their
    probabilities are invalid.

    Reading starts at the token in which the answered label begins. An alternative's probability
    goes to the label that it begins. If the answered token begins several labels, its probability
    is divided by the alternatives of the next token, and so on. If another alternative begins
    several labels, the answered label gets its probability if it is among them, since the answer
    shows which was meant; otherwise they share it.

    Args:
        answer: the text that the label was read in, the last part of the tokens.
        start: where in it the label begins, in characters.
    """
    raw = [position.raw for position in positions]
    joined = b"".join(raw)
    begin = joined.rfind(answer.strip().encode("utf-8", "surrogatepass"))
    if begin < 0:
        return None
    blank = len(answer) - len(answer.lstrip())
    target = begin + len(answer[blank:start].encode("utf-8", "surrogatepass"))
    offset = 0
    for number, token in enumerate(raw):
        if offset + len(token) > target:
            rest = positions[number:]
            names = as_answered(answer, start, label, label_names)
            if not rest[0].top_logprobs or not all(map(are_probabilities, rest)):
                return None
            return divided(rest, token[: target - offset], label, names)
        offset += len(token)
    return None


def divided(
    positions: Sequence[Position], lead: bytes, label: int, label_names: Sequence[str]
) -> NDArray[np.float64] | None:
    """See `label_weights`; the label begins in the first token, after `lead`."""
    total: NDArray[np.float64] = np.zeros(len(label_names))
    share, path = 1.0, b""  # probability of the answered tokens so far, and their text
    for number, position in enumerate(positions):
        here, undecided = step(position, path, lead if number == 0 else None, label, label_names)
        known = here.sum() + undecided
        if known == 0 and number == 0:
            return None  # not even the answered token has a probability
        if known == 0:
            break
        total += share * here / known
        share *= undecided / known
        if share == 0:
            return total
        path += position.raw.removeprefix(lead) if number == 0 else position.raw
    total[label] += share
    return total


def step(
    position: Position, path: bytes, lead: bytes | None, label: int, label_names: Sequence[str]
) -> tuple[NDArray[np.float64], float]:
    """One token's contribution to each label, float64 [C], and the undecided rest.

    Args:
        path: the answer from the label's beginning up to this token.
        lead: the part of this token before the label, if the label begins in it.
    """
    here: NDArray[np.float64] = np.zeros(len(label_names))
    undecided = 0.0
    for token, probability in alternatives(position).items():
        spelled = path + (token if lead is None else token.removeprefix(lead))
        answered = token == position.raw
        ends = lead is None and not token.strip() and not answered
        meant = ended(path, label_names) if ends else begun(spelled, label_names)
        if answered and ((len(meant) > 1 and label in meant) or unread(spelled)):
            undecided = probability
        elif answered or label in meant:
            here[label] += probability
        elif meant:
            here[list(meant)] += probability / len(meant)
    return here, undecided


def alternatives(position: Position) -> dict[bytes, float]:
    """Maps bytes to probabilities, including the answered token.

    Several tokens may have the same bytes, and one may be listed twice.
    """
    probabilities: dict[bytes, float] = {}
    for raw, probability in dict.fromkeys(
        (e.raw, e.probability) for e in position.top_logprobs or ()
    ):
        probabilities[raw] = probabilities.get(raw, 0.0) + probability
    return {position.raw: position.probability} | probabilities


def are_probabilities(position: Position) -> bool:
    """Whether its alternatives are probabilities; some servers send scores or shares instead."""
    return sum(alternatives(position).values()) <= MOST


def as_answered(answer: str, start: int, label: int, label_names: Sequence[str]) -> Sequence[str]:
    """The labels as spelled in the answer: in JSON some characters are escaped.

    Args:
        start: where in the answer the label begins.
    """
    if answer[:start].endswith('"'):
        for ascii_alone in (False, True):
            names = [json.dumps(name, ensure_ascii=ascii_alone)[1:-1] for name in label_names]
            if answer[start:].casefold().startswith(names[label].casefold()):
                return names
    return label_names


def begun(raw: bytes, label_names: Sequence[str]) -> set[int]:
    """The labels that some bytes may begin, or name and continue after."""
    text = raw.decode("utf-8", "ignore")  # half a character is not informative
    return starting(text, label_names) or starting(LEADING.sub("", text), label_names)


def starting(text: str, label_names: Sequence[str]) -> set[int]:
    words = plain(text)
    if not words:
        return set()
    names = [plain(name) for name in label_names]
    longer = {index for index, name in enumerate(names) if name.startswith(words)}
    if longer:
        return longer
    named = {
        index: len(name)
        for index, name in enumerate(names)
        if words.startswith(name) and not ALPHANUMERIC.match(words[len(name) :])
    }
    longest = max(named.values(), default=0)
    return {index for index, length in named.items() if length == longest}


def unread(raw: bytes) -> bool:
    """Whether the bytes hold no complete character yet."""
    return not raw.decode("utf-8", "ignore")


def ended(raw: bytes, label_names: Sequence[str]) -> set[int]:
    """The labels that some bytes spell completely."""
    words = plain(LEADING.sub("", raw.decode("utf-8", "ignore")))
    return {index for index, name in enumerate(label_names) if plain(name) == words}


def plain(text: str) -> str:
    return " ".join(text.split()).casefold()
