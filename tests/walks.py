"""How many modules of ours one must read to follow something from its start to its end."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "concepts" / "architecture.md"


@contextmanager
def entered(*rooms: str) -> Iterator[set[str]]:
    """The files of some rooms in which a function is called while the block runs."""
    found: set[str] = set()
    prefixes = tuple(f"{room}." for room in rooms)

    def note(frame: FrameType, event: str, _: Any) -> None:
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.startswith(prefixes):
            found.add(module.replace(".", "/") + ".py")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(before)


def told_of(life: str) -> set[str]:
    """The files that the tour names under a heading."""
    page = PAGE.read_text(encoding="utf-8")
    text = page.split(f"## The life of {life}", 1)[1].split("\n## ", 1)[0]
    return {name.partition(":")[0] for name in re.findall(r"`([^`\n]+\.py[^`\n]*)`", text)}
