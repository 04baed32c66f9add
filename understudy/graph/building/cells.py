"""Interprets a value of a file as an id, a label, a text, a mask or a list of neighbours."""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from uuid import UUID

from understudy.graph.formulas import text_of_formula
from understudy.graph.missing import is_missing
from understudy.graph.numerals import EXACT_FLOATS

TRUE = ("true", "1", "1.0", "yes", "t", "y")
FALSE = ("false", "0", "0.0", "no", "f", "n")
OPENING = ("[", "(", "{")
SIGNS = "[;,|]"  # between neighbours
SPLITTING = rf"\s|{SIGNS}"  # in an id: it can be listed as a neighbour only in quotes
QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
# NumPy's form of an array of strings, without commas.
APART_BY_BLANKS = re.compile(r"\[(?:\s*(?:'[^']*'|\"[^\"]*\")){2,}\s*\]")


class CellError(TypeError):
    """A value of the wrong type for its column; the message says what was expected."""


class Rounded(float):
    """A float so large that its type rounds other whole numbers to it."""

    def __new__(cls, value: float, exact: int) -> "Rounded":
        """Keeps the largest number that is exact in the type."""
        made = super().__new__(cls, value)
        made.exact = exact
        return made

    exact: int


def name_of(value: object) -> str | None:
    """An id, a group or a split; whole numbers become strings.

    Raises:
        CellError: neither a string nor a whole number, or it has an unpaired surrogate.
    """
    if value is None:
        return None
    if type(value) is str:
        return value if value.isascii() else whole_characters(value)
    if type(value) is int:
        return str(value)
    if type(value) is float:
        return whole(value)
    if isinstance(value, Decimal) and value == value.to_integral_value():  # of any size, exactly
        return str(int(value))
    if isinstance(value, Rounded):
        return whole(value, value.exact)
    if isinstance(value, UUID):  # of a database, in the usual notation
        return str(value)
    raise CellError("a string or whole number")


def whole_characters(text: str) -> str:
    """Returns the text; programs that cut strings by UTF-16 leave unpaired surrogates.

    Raises:
        CellError: it has one.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CellError("text without half a character, a lone surrogate") from error
    return text


def whole(value: float, exact: int = EXACT_FLOATS) -> str | None:
    """The digits of a whole number that was stored as a float; None for NaN.

    Args:
        exact: the largest whole number that is exact in the float's type.

    Raises:
        CellError: it has a fraction, or is larger.
    """
    if value != value:
        return None
    if not value.is_integer():
        raise CellError("a string or whole number")
    if abs(value) > exact:
        raise CellError(
            f"at most {exact:,}, above which its type rounds whole numbers (save them as such)"
        )
    return str(int(value))


def label_of(value: object) -> str | None:
    """A label's name; true and false are names, and a list of one label is that label."""
    while isinstance(value, list):
        if len(value) > 1:
            raise CellError("one label, not several (--label-field none leaves the column unread)")
        value = value[0] if value else None
    return str(value).lower() if type(value) is bool else name_of(value)


def text_of(value: object) -> str | None:
    """A text; a list of strings is one text, with one string per line.

    Raises:
        CellError: it is something else, or has an unpaired surrogate.
    """
    if isinstance(value, list):
        return "\n".join(part for item in flat(value) if (part := text_of(item))) or None
    if type(value) is str:
        if is_missing(value):
            return None
        return value if value.isascii() else whole_characters(value)
    if value is None or (type(value) is float and value != value):
        return None
    raise CellError("a string")


def flat(values: list[object]) -> Iterator[object]:
    """Flattens nested lists of any depth, in order."""
    waiting = [*reversed(values)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += reversed(value)
        else:
            yield value


def joined(texts: Sequence[str | None]) -> str | None:
    """Joins title and body on separate lines; a body that begins with its title stands alone."""
    if len(texts) == 1:
        return texts[0]
    parts = [text.strip() for text in texts if text and text.strip()]
    if len(parts) > 1 and parts[1].startswith(parts[0]):
        parts = parts[1:]
    return "\n".join(parts) or None


def word_of(value: object) -> str | None:
    """The word in a column that only may hold words, such as those for splits; None for values of
    other types.

    Raises:
        CellError: it has an unpaired surrogate.
    """
    return name_of(value) if isinstance(value, str) else None


def mask_of(value: object) -> bool:
    """Whether a mask's column includes the node; blank means no.

    Raises:
        CellError: neither true nor false.
    """
    word = str(value).strip().lower()
    if word in TRUE:
        return True
    if value is None or word in FALSE or is_missing(str(value)):
        return False
    raise CellError(
        "true or false, yes or no, or 1 or 0 (--split-field none leaves masks unread and draws a "
        "random split)"
    )


def neighbors_of(value: object) -> list[str]:
    """The ids in a list, or in a string such as `[1, 2]`, `a;b` or `a b`.

    A word for a missing value is kept: only whoever has all ids knows whether a node is called so.

    Raises:
        CellError: an item is no id.
    """
    if isinstance(value, str):
        value = neighbors_in(text_of_formula(value).strip())
    if value is None or (isinstance(value, float) and value != value):
        return []
    items = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(item, list | dict) for item in items):
        raise CellError("a list of ids, which are strings or whole numbers")
    names = [name_of(item) for item in items]
    return [name for name in names if name is not None and name.strip()]


def neighbors_in(text: str) -> list[object]:
    """The items of a list in text form."""
    if is_missing(text):
        return [text]
    if (items := written_list(text)) is not None:
        return items
    text = text.strip("[](){}")
    parts = re.split(SIGNS if re.search(SIGNS, text) else r"\s+", text)
    return [part.strip().strip("'\"") for part in parts if part.strip()]


def written_list(text: str) -> list[object] | None:
    """The items of a list in JSON's, Python's or NumPy's form, such as `["a", 1]`, or None."""
    if text[:1] not in OPENING:
        return None
    if APART_BY_BLANKS.fullmatch(text):  # Python would read it as one string
        return [single or double for single, double in QUOTED.findall(text)]
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, list | tuple | set):
            return list(value)
    return None
