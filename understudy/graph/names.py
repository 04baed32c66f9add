"""What a graph may be called, and which names a person takes for one another."""

import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

from understudy.folders.names import character_problem
from understudy.graph.errors import BadInputError
from understudy.graph.text_graph import string_array


def check_name(name: object, what: str, advice: str = "give another one") -> None:
    """Refuses what would end a line of a log, a metric or a table in which the name stands.

    Args:
        what: the name in a message, for example "--name".

    Raises:
        BadInputError: it is no text, or holds a control character or half a character.
    """
    problem = character_problem(name) if isinstance(name, str) else f"must be a text, not {name!r}"
    if problem:
        raise BadInputError(f"{what} {problem}; {advice}")


def plain_form(name: str) -> str:
    """A name without what a person overlooks: case, blanks, and the coding of accents."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def look_alike(name: str, others: pa.LargeStringArray) -> str | None:
    """The first of many names (large_string [n]) that a person would take for this one."""
    place = pc.index(plain_forms(others), plain_forms(string_array([name]))[0]).as_py()
    return None if place < 0 else str(others[place].as_py())


def plain_forms(names: pa.LargeStringArray) -> pa.LargeStringArray:
    """`plain_form` of many at once, but for the few letters whose case is more than small."""
    forms = pc.utf8_lower(pc.utf8_normalize(names, form="NFKC"))
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(forms, r"\s+", " "))
