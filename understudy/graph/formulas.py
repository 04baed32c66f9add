"""Values that are written as a spreadsheet's formula, `="007"`, which keeps them from being taken
for numbers."""

import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

SIGN = b'="'  # in every file that has such values
FORMULA = re.compile(r'\s*="((?:[^"]|"")*)"\s*')
IN_COLUMN = r'^\s*="(?:[^"]|"")*"\s*$'  # the same for columns


def text_of_formula(value: str) -> str:
    """The text that a formula stands for; other values stay as they are."""
    formula = FORMULA.fullmatch(value)
    return formula[1].replace('""', '"') if formula else value


def texts_of_formulas(values: Sequence[str]) -> list[str]:
    """A record without formulas."""
    return list(map(text_of_formula, values))


def column_without_formulas(column: pa.LargeStringArray) -> pa.LargeStringArray:
    """The texts that a column's formulas stand for, trimmed, and null if blank; the same column if
    it has none."""
    if not pc.any(pc.match_substring(column, SIGN.decode()), min_count=0).as_py():
        return column
    formulas = pc.fill_null(pc.match_substring_regex(column, IN_COLUMN), False)
    if not pc.any(formulas, min_count=0).as_py():
        return column
    texts = (text_of_formula(value).strip() for value in column.filter(formulas).to_pylist())
    replacements = pa.array([text or None for text in texts], pa.large_string())
    return pc.replace_with_mask(column, formulas, replacements)
