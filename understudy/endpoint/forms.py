"""Negotiates the form of questions that a server accepts, on the first questions."""

import logging
from dataclasses import dataclass, replace
from typing import Any

from understudy.endpoint.options import ClientOptions, Constraint, Thinking

log = logging.getLogger(__name__)
CONSTRAINTS: tuple[Constraint, ...] = ("json_schema", "choice", "grammar", "none")
THINKINGS: tuple[Thinking, ...] = ("none", "template", "effort", "wait")
HELD: dict[Constraint, str] = {
    "json_schema": "restricted to the labels by a JSON schema",
    "choice": "restricted to the labels by structured outputs",
    "grammar": "restricted to the labels by a grammar",
    "none": "not restricted to the labels: it supports no constraint",
}
THOUGHTS: dict[Thinking, str] = {
    "template": "its thinking is turned off by the chat template",
    "effort": "its thinking is turned off by reasoning_effort",
    "wait": "it thinks before it answers, which takes time and costs tokens",
}


@dataclass(frozen=True, slots=True)
class Form:
    constraint: Constraint
    thinking: Thinking


class Forms:
    """The form in use; `auto` options advance while a server refuses, or still thinks."""

    def __init__(self, options: ClientOptions) -> None:
        self.options = options
        constraint = CONSTRAINTS[0] if options.constraint == "auto" else options.constraint
        thinking = THINKINGS[0] if options.thinking == "auto" else options.thinking
        self.first = self.current = Form(constraint, thinking)
        self.settled = "auto" not in (options.constraint, options.thinking)
        self.held = options.constraint != "auto"  # the server is known to accept the constraint
        self.broken = False  # an answer violated it

    def refused(self, form: Form) -> Form | None:
        """The form to try after a refusal; None if the question is to blame."""
        if self.options.thinking == "auto" and form.thinking not in ("none", "wait"):
            return replace(form, thinking=following(THINKINGS, form.thinking))
        if not self.held and form.constraint != CONSTRAINTS[-1]:
            return replace(form, constraint=following(CONSTRAINTS, form.constraint))
        return None

    def thought(self, form: Form) -> Form | None:
        """The form to try after an answer with thoughts; None if they are waited for."""
        if self.options.thinking != "auto" or form.thinking == THINKINGS[-1]:
            return None
        return replace(form, thinking=following(THINKINGS, form.thinking))

    def accepted(self, form: Form, url: str) -> None:
        """Records that the server accepted the form's constraint, and logs it once."""
        if not self.held:
            log.warning("%s is %s", url, HELD[form.constraint])
        self.held = True

    def check(self, form: Form, text: str, label: int | None, url: str) -> None:
        """Warns once if the server accepts the constraint but ignores it."""
        kept = label is not None and (form.constraint != "json_schema" or "{" in text)
        if not (kept or self.broken or form.constraint == "none"):
            log.warning("%s accepts the constraint %s but ignores it", url, form.constraint)
            self.broken = True

    def settle(self, form: Form, url: str) -> None:
        """Adopts the form in which a question was answered properly."""
        if form.thinking != self.current.thinking:
            log.warning("%s: %s", url, THOUGHTS[form.thinking])
        self.current, self.settled = form, True


def following(order: tuple[Any, ...], value: Any) -> Any:
    return order[order.index(value) + 1]
