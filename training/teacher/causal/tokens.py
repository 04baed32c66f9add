"""Prompts and labels as tokens.

A prompt is a head (instruction and labels), a description and a tail (the question). They are
tokenised separately, so that common parts are found and read once, but with the same result as for
the whole text: each piece ends with a line break, across which no tokenizer merges, and is
tokenised after such a break, so that no space is prepended. A model with a chat template is asked
through it, as servers do.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import jinja2

from training.errors import TeacherError
from understudy.graph.errors import first_line
from understudy.graph.prompts import Prompt

Ids = tuple[int, ...]
LINE_END = "\n"
QUESTION_MARK, ANSWER_MARK = "QUESTION-STANDS-HERE", "ANSWER-STANDS-HERE"
LEAST_ROOM = 32  # tokens of a description: with fewer, the teacher would read almost nothing
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame that a model expects around a question and an answer."""

    opening: str  # before the question; empty without a chat template
    closing: str  # after the question
    lead: str  # between that and an answer
    end: int  # the token that ends an answer
    trimmed: bool = False  # the template trims its content


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt without the common tail."""

    head: Ids
    body: Ids


@dataclass(frozen=True, slots=True)
class Tokens:
    """A tokenizer, and the frame that its model expects."""

    tokenizer: Any
    frame: Frame
    special: re.Pattern[str] | None  # tokens that no text may contain

    def rows(self, prompts: Sequence[Prompt], max_tokens: int) -> list[Row]:
        """Every prompt's head and description, which is truncated if the prompt is too long.

        Raises:
            TeacherError: a head leaves no room for the description.
        """
        heads = {prompt.head: self.head(prompt.head) for prompt in prompts}
        bodies = self.after_line([self.escape(prompt.description) + LINE_END for prompt in prompts])
        tail = len(self.tail(prompts[0])) if prompts else 0
        rows = []
        for prompt, body in zip(prompts, bodies, strict=True):
            head = heads[prompt.head]
            room = max_tokens - len(head) - tail
            if len(body) > room and room < LEAST_ROOM:
                raise TeacherError(
                    f"the instruction and its labels take {len(head) + tail} tokens, which leaves "
                    f"{max(room, 0)} of {max_tokens} for a node's description; raise --max-tokens "
                    f"to {len(head) + tail + max(len(body), LEAST_ROOM)} or shorten the labels, "
                    "or what --label-descriptions says about them"
                )
            rows.append(Row(head, body[:room]))
        cut = sum(len(row.body) < len(body) for row, body in zip(rows, bodies, strict=True))
        if cut:
            log.info("%d of %d descriptions are cut to fit --max-tokens", cut, len(rows))
        return rows

    def head(self, text: str) -> Ids:
        ids = self.encode(self.frame.opening + self.escape(text), start=not self.frame.opening)
        return ids[:-1] if ids[-1:] == (self.tokenizer.eos_token_id,) else ids

    def tail_text(self, prompt: Prompt) -> str:
        text = prompt.tail.removeprefix(LINE_END)
        return (text.rstrip() if self.frame.trimmed else text) + self.frame.closing

    def tail(self, prompt: Prompt) -> Ids:
        return self.after_line([self.tail_text(prompt)])[0]

    def label(self, name: str) -> Ids:
        """A label's tokens as they follow the tail."""
        tail = self.tail_text(Prompt("", ""))
        answer = self.frame.lead + self.escape(name)
        before, whole = self.after_line([tail, tail + answer])
        if whole[: len(before)] == before and len(whole) > len(before):
            return whole[len(before) :]
        return self.after_line([answer])[0]

    def escape(self, text: str) -> str:
        """Breaks special tokens in a text by a space after the first character."""
        if self.special is None:
            return text
        return self.special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)

    def after_line(self, texts: Sequence[str]) -> list[Ids]:
        """Each text's tokens as they follow a line break."""
        line = self.encode(LINE_END)
        found = [tuple(ids) for ids in self.call([LINE_END + text for text in texts])]
        return [
            ids[len(line) :] if ids[: len(line)] == line else self.encode(text)
            for ids, text in zip(found, texts, strict=True)
        ]

    def encode(self, text: str, start: bool = False) -> Ids:
        return tuple(self.call([text], start)[0])

    def call(self, texts: list[str], start: bool = False) -> list[list[int]]:
        encoded = self.tokenizer(texts, add_special_tokens=start)
        return cast(list[list[int]], encoded["input_ids"])

    def prompt_ids(self, prompt: Prompt) -> Ids:
        """The tokens of the whole prompt, as a server tokenises its text."""
        text = self.escape(prompt.head + prompt.description) + LINE_END + self.tail_text(prompt)
        ids = self.encode(self.frame.opening + text, start=not self.frame.opening)
        return ids[:-1] if ids[-1:] == (self.tokenizer.eos_token_id,) else ids


def model_tokens(tokenizer: Any, name: str) -> Tokens:
    """The tokens of a loaded tokenizer.

    Raises:
        TeacherError: it has no end token, or its chat template accepts no question.
    """
    if tokenizer.eos_token_id is None:
        raise TeacherError(f"the tokenizer of {name!r} has no end token")
    try:
        frame = chat_frame(tokenizer)
    except (jinja2.TemplateError, ValueError, TypeError) as error:
        raise TeacherError(
            f"the chat template of {name!r} takes no question: {first_line(error)}"
        ) from error
    return Tokens(tokenizer, frame, special_pattern(tokenizer))


def chat_frame(tokenizer: Any) -> Frame:
    """The frame that the tokenizer's chat template, if there is one, adds."""
    end = int(tokenizer.eos_token_id)
    if not getattr(tokenizer, "chat_template", None):
        return Frame("", "", "", end)
    question = {"role": "user", "content": f"{QUESTION_MARK}{LINE_END}"}
    answer = {"role": "assistant", "content": ANSWER_MARK}
    plain = {"tokenize": False, "enable_thinking": False}
    opened = tokenizer.apply_chat_template([question], add_generation_prompt=True, **plain)
    opening, found, closing = opened.partition(QUESTION_MARK)
    if not found:
        raise ValueError("it leaves the question out")
    trimmed = not closing.startswith(LINE_END)
    answered = tokenizer.apply_chat_template([question, answer], **plain)
    before, _, after = answered.partition(ANSWER_MARK)
    lead = before.removeprefix(opened) if before.startswith(opened) else ""
    ids = tokenizer(after, add_special_tokens=False)["input_ids"]
    if ids and ids[0] in tokenizer.all_special_ids:
        end = int(ids[0])
    return Frame(
        opening, closing.removeprefix(LINE_END) if not trimmed else closing, lead, end, trimmed
    )


def special_pattern(tokenizer: Any) -> re.Pattern[str] | None:
    """Matches every special token."""
    names = {str(token) for token in tokenizer.all_special_tokens}
    added = getattr(tokenizer, "added_tokens_decoder", {})
    names |= {str(token) for token in added.values() if token.special}
    names = {name for name in names - {tokenizer.unk_token} if len(name) > 1}
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    return re.compile("|".join(map(re.escape, longest_first))) if names else None
