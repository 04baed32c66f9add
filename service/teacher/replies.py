"""What a language model wrote → one of the labels, or nothing."""

import json
from collections.abc import Callable, Sequence

# A label in JSON is escaped, at most six letters for one of its own, and has a frame around it.
ESCAPED = 6
FRAME = 1_000


def find_label(text: str, label_names: Sequence[str]) -> str | None:
    """The label that the reply names and nothing else.

    Takes the bare label, a JSON string, or a JSON object with one value. The label as it is
    written goes first; then letters' case, blanks, quotes and a full stop do not matter, as long
    as one label alone is meant: of `us` and `US`, `Us` names neither.
    """
    if len(text) > ESCAPED * max(map(len, label_names)) + FRAME:
        return None
    said = unwrapped(text)
    if text in label_names:
        return text
    for read in READINGS:
        meant = [name for name in label_names if read(name) == read(said)]
        if meant:
            return meant[0] if len(meant) == 1 else None
    return None


def unwrapped(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    return value if isinstance(value, str) else text


def as_written(text: str) -> str:
    return text


def on_one_line(text: str) -> str:
    return " ".join(text.split())


def bare(text: str) -> str:
    return on_one_line(text).strip(" \"'`*.")


# From the strictest to the loosest.
READINGS: tuple[Callable[[str], str], ...] = (
    as_written,
    on_one_line,
    lambda text: on_one_line(text).casefold(),
    bare,
    lambda text: bare(text).casefold(),
)
