"""Why a teacher refused, in words that may stand in a log."""

import json
import re
from typing import Any

SHOWN_CHARACTERS = 200
LEAST_SECRET = 3  # letters of an English word that is looked for in the question and in the key
UNTOLD_STATUS = 500  # of a failure that tells none: the same question may be answered later
WORD = re.compile(r"\w+")


def refusal_reason(body: bytes, text: str, key: str) -> str:
    """The server's message on one line, without any word of a text or of the key.

    Args:
        text: the node's; empty where its words may be told.
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
    """The status of a failure that was sent as an answer with status 200, as routers between a
    client and several servers do; None of any other answer."""
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
    return code if type(code) is int and 400 <= code <= 599 else UNTOLD_STATUS


def error_message(text: str) -> str:
    """The message in OpenAI's form or FastAPI's; else the text as it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, dict):
        value = value.get("error", value.get("detail", value.get("message", value)))
    if isinstance(value, dict):
        value = value.get("message", value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
