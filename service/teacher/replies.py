"""What a language model wrote → one of the labels, or nothing."""

import json
from collections.abc import Sequence


def find_label(text: str, label_names: Sequence[str]) -> str | None:
    """The label that the reply names and nothing else.

    Takes the bare label, a JSON string, or a JSON object with one value; letters' case, quotes
    and a full stop do not matter.
    """
    by_plain = {plain(name): name for name in label_names}
    return by_plain.get(plain(unwrapped(text)))


def unwrapped(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    return value if isinstance(value, str) else text


def plain(text: str) -> str:
    return " ".join(text.split()).strip(" \"'`*.").casefold()
