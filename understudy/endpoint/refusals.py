"""Why a teacher refused, in words that may stand in a log."""

import json
import re

from understudy.graph.prompts import Prompt

SHOWN_CHARACTERS = 200
LEAST_SECRET = 3  # letters of an English word that is looked for in the question and in the key
WORD = re.compile(r"\w+")


def refusal_reason(body: bytes, prompt: Prompt, key: str) -> str:
    """The server's message on one line, without any word of the node's text or of the key."""
    message = error_message(body.decode("utf-8", errors="replace"))
    secret = f"{prompt.description}\n{key}".casefold()

    def masked(found: re.Match[str]) -> str:
        word = found.group()
        looked_for = len(word) >= LEAST_SECRET or not word.isascii()
        return "…" if looked_for and word.casefold() in secret else word

    line = " ".join(WORD.sub(masked, message).split())
    return line if len(line) <= SHOWN_CHARACTERS else line[:SHOWN_CHARACTERS] + "…"


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
