"""Values that are written as a spreadsheet's formula, `="007"`, which keeps them from being taken
for numbers."""

import re
from collections.abc import Sequence

SIGN = b'="'  # in every file that has such values
FORMULA = re.compile(r'\s*="((?:[^"]|"")*)"\s*')


def text_of_formula(value: str) -> str:
    """The text that a formula stands for; other values stay as they are."""
    formula = FORMULA.fullmatch(value)
    return formula[1].replace('""', '"') if formula else value


def texts_of_formulas(values: Sequence[str]) -> list[str]:
    """A record without formulas."""
    return list(map(text_of_formula, values))
