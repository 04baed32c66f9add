"""Checks a graph's name, and finds names that people would confuse."""

import difflib
import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.folders.names import INVISIBLE, MARK, name_problem
from understudy.graph.errors import BadInputError
from understudy.graph.numerals import GROUPED, written_plainly
from understudy.graph.text_graph import string_array

LONGEST_LABEL = 500  # characters: prompts list all labels, and so do metrics and tables
SHOWN_NAMES, SHOWN_CHARACTERS = 10, 100  # of known names in a message, and of each one
COMPARED_NAMES = 1_000  # known names that an unknown one is compared with: comparing takes time
HIDDEN = re.compile(f"[{INVISIBLE[1:]}{MARK}]")  # except for the ASCII blank


def check_name(name: object, argument: str, advice: str = "give another one") -> None:
    """Refuses a name that would break or flood a line of a log, a metric or a table.

    Args:
        argument: what a message calls the name, for example "--name".

    Raises:
        BadInputError: it is not a string, is too long, or holds a control character or a surrogate.
    """
    problem = name_problem(name) if isinstance(name, str) else f"must be a text, not {name!r}"
    if problem:
        raise BadInputError(f"{argument} {problem}; {advice}")


def which_are_known(name: str, known: Sequence[str]) -> str:
    """Says which known name is like an unknown one, or which there are; ends a message."""
    near = difflib.get_close_matches(name[:SHOWN_CHARACTERS], known[:COMPARED_NAMES], 1)
    if near:
        return f"did you mean {near[0][:SHOWN_CHARACTERS]!r}?"
    shown = ", ".join(each[:SHOWN_CHARACTERS] for each in known[:SHOWN_NAMES])
    return f"it has {shown or 'none'}{', …' if len(known) > SHOWN_NAMES else ''}"


def plain_form(name: str) -> str:
    """Normalises what people overlook: case, blanks, accent encoding, invisible characters."""
    return " ".join(HIDDEN.sub("", unicodedata.normalize("NFKC", name).casefold()).split())


def look_alike(name: str, others: pa.LargeStringArray) -> str | None:
    """The first of many names (large_string [n]) that people would confuse with this one."""
    place = pc.index(plain_forms(others), plain_forms(string_array([name]))[0]).as_py()
    return None if place < 0 else str(others[place].as_py())


def plain_forms(names: pa.LargeStringArray) -> pa.LargeStringArray:
    """`plain_form` of many names at once, except for the few letters with special case folding."""
    forms = pc.utf8_lower(pc.utf8_normalize(names, form="NFKC"))
    if not pc.all(pc.string_is_ascii(names)).as_py():
        forms = pc.replace_substring_regex(forms, HIDDEN.pattern, "")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(forms, r"\s+", " "))


def alike_groups(names: pa.LargeStringArray) -> list[NDArray[np.int64]]:
    """Positions of distinct names that people would confuse, grouped by their first occurrence."""
    return groups_of_one_form(plain_forms(names))


def same_number_groups(names: pa.LargeStringArray) -> list[NDArray[np.int64]]:
    """Positions of distinct names that write one number in several ways, by first occurrence."""
    forms = written_plainly(names)
    # Usually all are plain numbers or names, which are distinct.
    return [] if forms.equals(names) else groups_of_one_form(forms)


def same_thousands_groups(names: pa.LargeStringArray) -> list[NDArray[np.int64]]:
    """Positions of distinct names that write one whole number with its thousands set apart in some
    of them, such as `1,234` and `1234`, by first occurrence.
    """
    grouped = pc.match_substring_regex(names, GROUPED)
    if not pc.any(grouped, min_count=0).as_py():
        return []
    digits = pc.replace_substring_regex(names, "[^0-9]", "")
    return groups_of_one_form(pc.if_else(grouped, digits, names))


def groups_of_one_form(forms: pa.LargeStringArray) -> list[NDArray[np.int64]]:
    """Positions that share a form with others, grouped by first occurrence."""
    codes = forms.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    sizes = np.bincount(codes)
    places = np.flatnonzero(sizes[codes] > 1)  # usually few
    order = places[np.argsort(codes[places], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(order) else []
