"""What a graph may be called, and which names a person takes for one another."""

import re
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.folders.names import INVISIBLE, MARK, name_problem
from understudy.graph.errors import BadInputError
from understudy.graph.numerals import written_plainly
from understudy.graph.text_graph import string_array

LONGEST_LABEL = 500  # characters: prompts name all labels, and metrics and tables each of them
HIDDEN = re.compile(f"[{INVISIBLE[1:]}{MARK}]")  # but for the blank, none of which is ASCII


def check_name(name: object, what: str, advice: str = "give another one") -> None:
    """Refuses what would end a line of a log, a metric or a table in which the name stands, or fill
    it.

    Args:
        what: the name in a message, for example "--name".

    Raises:
        BadInputError: it is no text, is too long, or holds a control character or half a character.
    """
    problem = name_problem(name) if isinstance(name, str) else f"must be a text, not {name!r}"
    if problem:
        raise BadInputError(f"{what} {problem}; {advice}")


def plain_form(name: str) -> str:
    """A name without what a person overlooks: case, blanks, the coding of accents, and what cannot
    be seen."""
    return " ".join(HIDDEN.sub("", unicodedata.normalize("NFKC", name).casefold()).split())


def look_alike(name: str, others: pa.LargeStringArray) -> str | None:
    """The first of many names (large_string [n]) that a person would take for this one."""
    place = pc.index(plain_forms(others), plain_forms(string_array([name]))[0]).as_py()
    return None if place < 0 else str(others[place].as_py())


def plain_forms(names: pa.LargeStringArray) -> pa.LargeStringArray:
    """`plain_form` of many at once, but for the few letters whose case is more than small."""
    forms = pc.utf8_lower(pc.utf8_normalize(names, form="NFKC"))
    if not pc.all(pc.string_is_ascii(names)).as_py():
        forms = pc.replace_substring_regex(forms, HIDDEN.pattern, "")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(forms, r"\s+", " "))


def alike_groups(names: pa.LargeStringArray) -> list[NDArray[np.int64]]:
    """Positions of distinct names that a person would take for one, by their first ones."""
    return groups_of_one_form(plain_forms(names))


def same_number_groups(names: pa.LargeStringArray) -> list[NDArray[np.int64]]:
    """Positions of distinct names that write one number in several ways, by their first ones."""
    forms = written_plainly(names)
    # Mostly all are plain numbers or names, which are distinct.
    return [] if forms.equals(names) else groups_of_one_form(forms)


def groups_of_one_form(forms: pa.LargeStringArray) -> list[NDArray[np.int64]]:
    """Positions that share a form with others, by their first ones."""
    codes = forms.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    sizes = np.bincount(codes)
    places = np.flatnonzero(sizes[codes] > 1)  # of few: the others stand alone
    order = places[np.argsort(codes[places], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(order) else []
