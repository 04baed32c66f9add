"""Converts a chat completion to a reply: its label, and the probabilities of all labels."""

from collections.abc import Sequence

import numpy as np

from understudy.endpoint.asker import Reply, Usage
from understudy.endpoint.completions import Choice, Completion, read_counts, read_positions
from understudy.endpoint.distribution import certain, label_weights, log_probabilities
from understudy.endpoint.errors import MalformedError
from understudy.endpoint.naming import after_thoughts, find_label, may_go_on
from understudy.endpoint.scores import problem_of_scores

REPORTED_FLOOR = 1e-9  # of a probability that the server reported for every label
LEAD = 1e-3  # nats by which the named label leads; float32 resolves it at any temperature


def read_reply(completion: Completion, label_names: Sequence[str], exact: bool = False) -> Reply:
    """Reads the first choice.

    The probabilities are those that the server reports for every label, otherwise those of the
    answered tokens' alternatives, otherwise None.

    Raises:
        MalformedError: the reported probabilities are invalid.
    """
    choice = completion.choices[0]
    content = choice.message.text
    counts = read_counts(completion)
    usage = Usage(1, counts.prompt_tokens or 0, counts.completion_tokens or 0)
    cut = choice.finish_reason == "length"
    text = None if content is None else after_thoughts(content)[0]
    named = find_label(text, label_names, exact) if text else None
    if text and named and cut and may_go_on(text, named.label, label_names):
        named = None
    if text is None and (refusal_of(choice) or thoughts_of(choice)):
        text = ""  # an answer without words
    if text is None or named is None:
        return Reply(text, None, usage=usage, cut=cut, refusal=refusal_of(choice))
    label, scores = named.label, completion.label_scores
    weighed: tuple[float, ...] | None = None
    if scores is not None:
        if problem := problem_of_scores(scores, label_names[label], label_names):
            raise MalformedError("the answer's probabilities are invalid", problem)
        values = np.array([scores[name] for name in label_names])
        weighed = log_probabilities(values, label, REPORTED_FLOOR)
    elif named.start is not None and (positions := read_positions(choice)):
        weights = label_weights(positions, text, named.start, label, label_names)
        weighed = None if weights is None else log_probabilities(weights, label)
    return Reply(text, label, weighed, usage, cut)


def nearly_certain(reply: Reply, classes: int) -> tuple[float, ...] | None:
    """The reply's log-probabilities with the named label ahead of all others; if there are none,
    nearly all probability for that label.

    An answer that was restricted to the labels may be less probable than the beginning of another
    label. Both are then set equal, and an argmax would pick whichever comes first.
    """
    if reply.label is None:
        return reply.log_probabilities
    reported = reply.log_probabilities
    if reported is None:
        reported = log_probabilities(certain(reply.label, classes), reply.label)
    values = np.array(reported)
    others = np.delete(values, reply.label).max(initial=-np.inf)
    if values[reply.label] > others:
        return reported
    values[reply.label] = others + LEAD
    return tuple((values - np.logaddexp.reduce(values)).tolist())


def thoughts_of(choice: Choice) -> bool:
    """Whether the model thought before, or instead of, answering."""
    text = choice.message.text
    return choice.message.has_thoughts or (text is not None and after_thoughts(text)[1])


def refusal_of(choice: Choice) -> str:
    """The server's reason for not answering; empty if it gives none."""
    if choice.message.refusal:
        return str(choice.message.refusal)
    return "a content filter" if choice.finish_reason == "content_filter" else ""
