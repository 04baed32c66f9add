"""A page of Markdown in the making."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MADE = "<!-- made from code by `python -m documents reference`; change the code instead -->"


@dataclass
class Page:
    """Lines of Markdown.

    Attributes:
        missing: what was to be told and has no words, by its name.
    """

    title: str
    lines: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join([f"# {self.title}", "", MADE, "", *self.lines]).rstrip() + "\n"

    def add(self, *paragraphs: str) -> None:
        """Adds paragraphs; empty ones are left out."""
        for paragraph in paragraphs:
            if paragraph:
                self.lines += [paragraph, ""]

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Adds a table; without rows nothing."""
        body = [f"| {' | '.join(map(cell, row))} |" for row in rows]
        if body:
            self.lines += [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *body, ""]

    def words(self, what: str, text: str | None) -> str:
        """A text that has to be there; if it is not, that is noted."""
        line = " ".join((text or "").split())
        if not line:
            self.missing.append(what)
        return line


def cell(text: str) -> str:
    """Text in a cell of a table: in one line, and no bar ends the cell."""
    return re.sub(r"\s+", " ", text).strip().replace("|", r"\|")


def code(value: object) -> str:
    return f"`{value}`"
