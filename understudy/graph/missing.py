"""Words for a missing value, as pandas, NumPy and others write them."""

import pyarrow as pa
import pyarrow.compute as pc

from understudy.folders.names import VISIBLE

# The words that pandas recognises; lowercase "none" is an ordinary word.
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
    "\\N",  # MySQL and PostgreSQL
    # Errors of spreadsheet formulas, in cells written as text.
    "#REF!",
    "#NAME?",
    "#VALUE!",
    "#DIV/0!",
    "#NUM!",
    "#NULL!",
)
UNKNOWN_MARKS = ("?",)  # additional marks in tables of labels


def is_blank(text: str) -> bool:
    """Whether a text has no visible character: empty, or only blanks, joiners and marks."""
    return VISIBLE.search(text) is None


def is_missing(value: str | None) -> bool:
    """Whether a value is blank or a word for a missing value."""
    return value is None or not value.strip() or value.strip() in MISSING_WORDS


def missing_words(column: pa.LargeStringArray, marks: tuple[str, ...] = ()) -> pa.BooleanArray:
    """bool [n]: where a trimmed column has a word for a missing value."""
    return pc.is_in(column, value_set=pa.array([*MISSING_WORDS, *marks], pa.large_string()))


def without_missing(column: pa.LargeStringArray) -> pa.LargeStringArray:
    """The column with null in place of words for a missing value."""
    return pc.if_else(missing_words(column), pa.scalar(None, pa.large_string()), column)
