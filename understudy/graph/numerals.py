"""Numbers in text: `2`, `2.0` and `2e0` are the same number, `007` is a name."""

import re
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from understudy.graph.text_graph import string_array

# More digits are a name: Python refuses to write or read numbers of thousands.
NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,499})(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?")
DIGITS = r"^[+-]?[0-9]{1,40}(?:\.[0-9]{0,40})?(?:[eE][+-]?[0-9]{1,3})?$"  # may have leading zeros
PLAIN = r"^(?:0|-?[1-9][0-9]*)$"  # the usual form of a whole number
GROUPED = "^[1-9][0-9]{0,2}(?:[,.' \u00a0\u202f][0-9]{3})+$"  # thousands set apart
WHOLE_FLOAT = r"^-?(?:0|[1-9]\d*)\.0*$"  # pandas' form of a whole number in a column with gaps
EXACT_FLOATS = 2**53 - 1  # up to here, a double represents every whole number exactly


def is_number(value: str) -> bool:
    return NUMBER.fullmatch(value) is not None


def whole_number(value: str) -> int | None:
    """The whole number that a word writes, possibly as 3.0 or 3e0; None if it writes none."""
    if not is_number(value):
        return None
    number = Decimal(value)
    return int(number) if number == number.to_integral_value() else None


def all_whole(column: pa.LargeStringArray) -> bool:
    """Whether every value that is a number is a whole one, possibly as 3.0."""
    broken = pc.match_substring_regex(pc.unique(column), r"^-?\d+\.\d*[1-9]\d*$")
    return not pc.any(broken, min_count=0).as_py()


def as_integers(column: pa.LargeStringArray) -> pa.LargeStringArray:
    """Replaces `3.0` by `3` in a column."""
    floats = pc.match_substring_regex(column, WHOLE_FLOAT)
    return pc.if_else(floats, pc.replace_substring_regex(column, r"\.0*$", ""), column)


def renamed(column: pa.LargeStringArray, names: dict[str, str | None]) -> pa.LargeStringArray:
    """The column with every value replaced by its name; values without a name are kept."""
    changed = {value: name for value, name in names.items() if value != name}
    if not changed:
        return column
    found = pc.index_in(column, value_set=string_array(changed))
    replaced = pa.array(changed.values(), pa.large_string()).take(found)
    return pc.if_else(found.is_valid(), replaced, column)


def number_of(name: str) -> Decimal | None:
    """The number that a name writes, possibly with leading zeros; None if it writes none."""
    return Decimal(name) if re.fullmatch(DIGITS, name) else None


def same_number(name: str, others: pa.LargeStringArray) -> str | None:
    """The first of many names (large_string [n]) that writes the same number differently, such as
    `007` and `1e5` for 7 and 100000.
    """
    wanted = number_of(name)
    if wanted is None:
        return None
    written = others.filter(pc.match_substring_regex(others, DIGITS)).to_pylist()
    return next((other for other in written if Decimal(other) == wanted), None)


def grouped_alike(name: str, others: pa.LargeStringArray) -> str | None:
    """The first of many names (large_string [n]) that writes the same whole number with its
    thousands set apart where `name` does not, or the other way round, such as `1,234` for 1234.
    """
    digits = ungrouped(name)
    if digits is None:
        return None
    wanted = others.filter(pc.match_substring_regex(others, PLAIN if digits != name else GROUPED))
    return next((other for other in wanted.to_pylist() if ungrouped(other) == digits), None)


def ungrouped(name: str) -> str | None:
    """The digits of a whole number, possibly with its thousands set apart; None if it is none."""
    if re.match(GROUPED, name):
        return re.sub(r"[^0-9]", "", name)
    return name if re.match(r"^[0-9]+$", name) else None


def written_plainly(names: pa.LargeStringArray) -> pa.LargeStringArray:
    """Every number in its usual form, `+007`, `7.0` and `70e-1` as `7`; other names stay."""
    forms = pc.replace_substring_regex(names, r"^(?:\+|(-))?0*([0-9]{1,40})(?:\.0*)?$", r"\1\2")
    forms = pc.replace_substring_regex(forms, r"^-0$", "0")
    odd = pc.and_(
        pc.match_substring_regex(forms, DIGITS), pc.invert(pc.match_substring_regex(forms, PLAIN))
    )
    if not pc.any(odd, min_count=0).as_py():
        return forms
    numbers = (Decimal(word) for word in forms.filter(odd).to_pylist())
    plain = (str(int(n) if n == n.to_integral_value() else n.normalize()) for n in numbers)
    return pc.replace_with_mask(forms, odd, string_array(plain))
