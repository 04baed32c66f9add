"""Checks the names that appear in paths, logs, headers, metrics and tables."""

import re

MARK = "\ufeff"  # byte order mark, which belongs at the start of a file
# Control characters, line ends and non-characters: invisible, or impossible to type or store.
FORBIDDEN = f"\x00-\x1f\x7f-\x9f\u2028\u2029{MARK}"
# Characters that are invisible by themselves, though they may change their neighbours: joiners,
# direction marks, variation selectors, fillers (most of them ignorable in Unicode), and blanks.
INVISIBLE = (
    " \u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u202a-\u202f"
    "\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
LONGEST_NAME = 200  # characters of a graph's or a model's name
SHOWN = 8  # characters shown of an invisible name
UNUSABLE = re.compile(f"[{FORBIDDEN}\ud800-\udfff]")
SEEN = f"[^{FORBIDDEN}{INVISIBLE}]"  # also valid in Arrow's regular expressions
VISIBLE = re.compile(SEEN)


def character_problem(name: str) -> str | None:
    """Which forbidden character a name holds, or None; the text continues a sentence."""
    found = UNUSABLE.search(name)
    if found is None:
        return None
    if found[0] == MARK:
        return f"contains a byte order mark, {MARK!r}, which is invisible"
    if "\ud800" <= found[0] <= "\udfff":
        return "contains half a character (a lone surrogate)"
    return f"contains a control character, {found[0]!r}"


def sight_problem(name: str) -> str | None:
    """Reports a name without visible characters, or None; blank names are left to others."""
    if not name.strip() or VISIBLE.search(name):
        return None
    return f"has no visible character, only {name[:SHOWN]!r}"


def name_problem(name: str, longest: int = LONGEST_NAME) -> str | None:
    """Why a text cannot be a name, or None: a forbidden character, nothing visible, or too long.

    Args:
        longest: characters
    """
    if len(name) > longest:
        return f"has {len(name):,} characters; at most {longest:,} are allowed"
    return character_problem(name) or sight_problem(name)
