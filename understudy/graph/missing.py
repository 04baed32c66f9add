"""Words that say that there is no value, as pandas, NumPy and others write them."""

import pyarrow as pa
import pyarrow.compute as pc

from understudy.folders.names import VISIBLE

# As pandas reads them; "none" in small letters is a word like any other.
MISSING_WORDS = (
    "NaN",
    "nan",
    "-NaN",
    "-nan",
    "NULL",
    "null",
    "None",
    "NA",
    "N/A",
    "n/a",
    "<NA>",
    "#N/A",
    "#NA",
    "#N/A N/A",
    "NaT",
    "1.#IND",
    "-1.#IND",
    "1.#QNAN",
    "-1.#QNAN",
    "\\N",  # of MySQL and PostgreSQL
    # Errors of a spreadsheet's formulas, where its cells were written as text.
    "#REF!",
    "#NAME?",
    "#VALUE!",
    "#DIV/0!",
    "#NUM!",
    "#NULL!",
)
UNKNOWN_MARKS = ("?",)  # what tables of labels write besides


def is_blank(text: str) -> bool:
    """Whether no character of a text can be seen: it is empty, or of blanks, joiners and marks."""
    return VISIBLE.search(text) is None


def is_missing(value: str | None) -> bool:
    """Whether a value is blank or says that there is none."""
    return value is None or not value.strip() or value.strip() in MISSING_WORDS


def missing_words(column: pa.LargeStringArray, marks: tuple[str, ...] = ()) -> pa.BooleanArray:
    """bool [n]: where a trimmed column says by a word that there is no value."""
    return pc.is_in(column, value_set=pa.array([*MISSING_WORDS, *marks], pa.large_string()))


def without_missing(column: pa.LargeStringArray) -> pa.LargeStringArray:
    """The same column, null where it says by a word that there is no value."""
    return pc.if_else(missing_words(column), pa.scalar(None, pa.large_string()), column)
