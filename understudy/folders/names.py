"""What a name may hold that stands in paths, logs, headers, metrics and tables."""

import re

# What moves a cursor, ends a line or is no character: it cannot be seen, typed or kept in a path.
FORBIDDEN = "\x00-\x1f\x7f-\x9f\u2028\u2029"
LONGEST_NAME = 200  # characters of what a graph or a model is called
UNUSABLE = re.compile(f"[{FORBIDDEN}\ud800-\udfff]")


def character_problem(name: str) -> str | None:
    """Which character no name may hold, or None; to be read after what is named so."""
    found = UNUSABLE.search(name)
    if found is None:
        return None
    half = "\ud800" <= found[0] <= "\udfff"
    return "holds half a character" if half else f"holds a control character, {found[0]!r}"


def name_problem(name: str, longest: int = LONGEST_NAME) -> str | None:
    """Why a text cannot be a name, or None: a character as above, or more than there may be.

    Args:
        longest: characters
    """
    if len(name) > longest:
        return f"has {len(name):,} characters; at most {longest:,} are allowed"
    return character_problem(name)
