"""Builds a page of Markdown."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MADE = "<!-- made from code by `python -m documents reference`; change the code instead -->"


@dataclass
class Page:
    """Lines of Markdown.

    Attributes:
        missing: names of items that need a description and have none.
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
        """Adds a table, unless it has no rows."""
        body = [f"| {' | '.join(map(cell, row))} |" for row in rows]
        if body:
            self.lines += [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *body, ""]

    def words(self, name: str, text: str | None) -> str:
        """Returns a required description on one line, and notes it as missing if it is empty."""
        line = " ".join((text or "").split())
        if not line:
            self.missing.append(name)
        return line


def cell(text: str) -> str:
    """Formats a table cell: one line, with bars escaped."""
    return re.sub(r"\s+", " ", text).strip().replace("|", r"\|")


def code(value: object) -> str:
    return f"`{value}`"
