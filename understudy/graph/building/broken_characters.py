"""Characters that a conversion between encodings has lost or garbled before the import."""

import re
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from understudy.graph.text_graph import TextGraph, string_array

# U+FFFD stands for what could not be read. The others are UTF-8 that was read as Windows-1252:
# `cafÃ©` for café, and `â€™` for an apostrophe.
BROKEN = re.compile("\ufffd|Ã[\u0080-\u00bf]|Â[\u0080-\u009f\u00a1-\u00bf]|â[\u20ac\u201a\u201e]")
SHOWN = 60  # characters of an example


def broken_characters(graph: TextGraph, place: Callable[[int], str]) -> Iterator[str]:
    """Reports ids, texts and classes with such characters.

    Args:
        place: where a node was read, for example "nodes.csv:7".
    """
    found = []
    for column, one, several in (
        (graph.ids, "id", "ids"),
        (graph.texts, "text", "texts"),
        (string_array(graph.label_names), "class", "classes"),
    ):
        count, first = broken(column)
        if count:
            where = "" if one == "class" else f" at {place(first)}"
            name = one if count == 1 else several
            found.append(f"{count:,} {name} ({example(column[first].as_py())}{where})")
    if found:
        yield (
            f"{', '.join(found)} with characters that a conversion has lost or garbled; write the "
            "file in UTF-8 again from the original"
        )


def broken(column: pa.LargeStringArray) -> tuple[int, int]:
    """The number of strings with such characters, and the first one's position."""
    mask = pc.match_substring_regex(column, BROKEN.pattern)
    return pc.sum(mask).as_py() or 0, pc.index(mask, pa.scalar(True)).as_py()


def example(text: str) -> str:
    """The text around its first such character."""
    found = BROKEN.search(text)
    place = found.start() if found else 0
    return repr(text[max(place - SHOWN // 2, 0) : place + SHOWN // 2])
