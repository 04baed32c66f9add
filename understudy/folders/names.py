"""What a name may hold that stands in paths, logs, headers, metrics and tables."""

import re

MARK = "\ufeff"  # of byte order, which belongs before a file's first character
# What moves a cursor, ends a line or is no character: it cannot be seen, typed or kept in a path.
FORBIDDEN = f"\x00-\x1f\x7f-\x9f\u2028\u2029{MARK}"
# What is not seen by itself, though it may change what is beside it: joiners, marks of direction,
# selectors of a variant, fillers (Unicode calls most of them ignorable), and blanks.
INVISIBLE = (
    " \u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u202a-\u202f"
    "\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
LONGEST_NAME = 200  # characters of what a graph or a model is called
SHOWN = 8  # characters of a name of which nothing can be seen
UNUSABLE = re.compile(f"[{FORBIDDEN}\ud800-\udfff]")
SEEN = f"[^{FORBIDDEN}{INVISIBLE}]"  # in the words of Arrow's regular expressions, too
VISIBLE = re.compile(SEEN)


def character_problem(name: str) -> str | None:
    """Which character no name may hold, or None; to be read after what is named so."""
    found = UNUSABLE.search(name)
    if found is None:
        return None
    if found[0] == MARK:
        return f"holds a byte order mark, {MARK!r}, which cannot be seen"
    half = "\ud800" <= found[0] <= "\udfff"
    return "holds half a character" if half else f"holds a control character, {found[0]!r}"


def sight_problem(name: str) -> str | None:
    """That nothing of a name can be seen, or None; what is blank is for others to judge."""
    if not name.strip() or VISIBLE.search(name):
        return None
    return f"holds no character that can be seen, only {name[:SHOWN]!r}"


def name_problem(name: str, longest: int = LONGEST_NAME) -> str | None:
    """Why a text cannot be a name, or None: a character as above, none that can be seen,
    or more than there may be.

    Args:
        longest: characters
    """
    if len(name) > longest:
        return f"has {len(name):,} characters; at most {longest:,} are allowed"
    return character_problem(name) or sight_problem(name)
