"""The reason why a teacher refused, in words that are safe to log."""

import json
import re
from typing import Any

SHOWN_CHARACTERS = 200
LEAST_SECRET = 3  # length from which an ASCII word is masked if question or key contain it
UNREPORTED_STATUS = 500  # for a failure without a code: the question may be retried
WORD = re.compile(r"\w+")


def refusal_reason(body: bytes, text: str, key: str) -> str:
    """The server's message on one line, with words of the text and of the key masked.

    Args:
        text: the node's; empty if its words may be shown.
    """
    message = error_message(body.decode("utf-8", errors="replace"))
    secret = f"{text}\n{key}".casefold()

    def masked(found: re.Match[str]) -> str:
        word = found.group()
        looked_for = len(word) >= LEAST_SECRET or not word.isascii()
        return "…" if looked_for and word.casefold() in secret else word

    line = " ".join(WORD.sub(masked, message).split())
    return line if len(line) <= SHOWN_CHARACTERS else line[:SHOWN_CHARACTERS] + "…"


def failure_in(answer: bytes) -> int | None:
    """The status of a failure that was sent with status 200, as routers in front of several servers
    do; None for any other answer.
    """
    if b'"error"' not in answer:
        return None
    try:
        value: Any = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not value.get("error") or value.get("choices"):
        return None
    error = value["error"]
    code = error.get("code") if isinstance(error, dict) else None
    return code if type(code) is int and 400 <= code <= 599 else UNREPORTED_STATUS


def error_message(text: str) -> str:
    """The message in OpenAI's form or FastAPI's; otherwise the text itself."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, dict):
        value = value.get("error", value.get("detail", value.get("message", value)))
    if isinstance(value, dict):
        value = value.get("message", value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
