"""Ids that a spreadsheet has turned into dates: it writes `1-Mar` or `Mar-01` for `MARCH1`, `1-3`
and `3/1`, so that several nodes may have one id by now."""

import re
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.graph.building.rounded_ids import ADVICE

MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
DATED = f"^(?:[0-3]?[0-9]-{MONTH}(?:-[0-9]{{2}}(?:[0-9]{{2}})?)?|{MONTH}-[0-9]{{2}})$"
# What a spreadsheet turns into dates: a month with a number, or two or three short numbers.
NO_DATES = (
    f"^(?:{MONTH}[a-z]*[ .]?[0-9]{{1,2}}|[0-9]{{1,2}}([-/.])[0-9]{{1,2}}(?:\\1[0-9]{{2,4}})?)$"
)


def could_be_dated(name: str) -> bool:
    return re.match(NO_DATES, name, re.IGNORECASE) is not None


def is_dated(name: str) -> bool:
    return re.match(DATED, name) is not None


def first_dated(ids: pa.LargeStringArray) -> tuple[int, int]:
    """The number of ids that are dates as spreadsheets write them, and the first one's position."""
    mask = np.asarray(pc.match_substring_regex(ids, DATED).to_numpy(zero_copy_only=False), bool)
    return int(mask.sum()), int(np.argmax(mask)) if len(mask) else 0


def dated_remark(ids: pa.LargeStringArray, place: Callable[[int], str]) -> Iterator[str]:
    """Reports nodes whose ids may have been turned into dates.

    Args:
        place: where a node's id was read, in words.
    """
    count, first = first_dated(ids)
    if count:
        yield (
            f"{count:,} ids are dates as a spreadsheet writes them, such as {ids[first].as_py()!r} "
            f"({place(first)}): if they were names or numbers such as MARCH1 or 3-1, several nodes "
            f"may have become one, and edges may miss them; {ADVICE}"
        )
