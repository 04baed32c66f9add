"""Ids that a spreadsheet has rounded: it writes long numbers as `1.23457E+11`, and keeps fifteen
digits of them, so that several nodes may have one id by now."""

import re
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

SHORTENED = r"^-?[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{2,3}$"
MANY_DIGITS = r"^[1-9][0-9]{15,39}$"
CUT = r"^[1-9][0-9]{14}0{1,25}$"  # after the fifteenth digit, as spreadsheets keep no more
KEPT = 15  # digits
ADVICE = (
    "make the column text in the spreadsheet before the ids are in it, and export it again from "
    "the original"
)


def is_shortened(name: str) -> bool:
    return re.match(SHORTENED, name) is not None


def rounded(ids: pa.LargeStringArray) -> NDArray[np.bool_]:
    """bool [n]: the ids that are shortened, or cut after the fifteenth digit if all long numbers
    are, which are several."""
    mask = pc.match_substring_regex(ids, SHORTENED)
    long = pc.match_substring_regex(ids, MANY_DIGITS)
    cut = pc.match_substring_regex(ids, CUT)
    if cut.equals(long) and (pc.sum(cut).as_py() or 0) > 1:
        mask = pc.or_(mask, cut)
    return np.asarray(mask.to_numpy(zero_copy_only=False), bool)


def rounded_from(name: str, ids: pa.LargeStringArray) -> str | None:
    """The first id that a spreadsheet would have cut to `name` after the fifteenth digit."""
    if re.match(CUT, name) is None:
        return None
    begun = pc.starts_with(ids, name[:KEPT])
    alike = ids.filter(pc.and_(begun, pc.equal(pc.utf8_length(ids), len(name))))
    found: str | None = alike[0].as_py() if len(alike) else None
    return found


def rounded_remark(ids: pa.LargeStringArray, place: Callable[[int], str]) -> Iterator[str]:
    """Reports nodes whose ids have been rounded.

    Args:
        place: where a node's id was read, in words.
    """
    mask = rounded(ids)
    if mask.any():
        first = int(np.argmax(mask))
        yield (
            f"{int(mask.sum()):,} ids are numbers that a spreadsheet has rounded, such as "
            f"{ids[first].as_py()!r} ({place(first)}): several nodes may have become one, and an "
            f"edge may lead to another node; {ADVICE}"
        )
