"""Finds the figures in a page of Markdown, and checks them against the files that it names.

A block is a paragraph, an item of a list or a row of a table. Its figures have to stand in one of
the committed results that the block itself links, the Markdown that a benchmark wrote; and those of
one clause, which a semicolon, a full stop or a cell ends, in one line of it: what is told together
was measured together. The figures are the result's, rounded. What may differ:

- the unit: 0.008 ms is 8 µs, 0.5 s is 500 ms, and a share of 0.62 is 62%;
- the digits: 1.44 is 1.4, and 11,673 is 11,700, as long as two digits that count are told.

Not read: code, links' targets, names such as `Gemma 3 270M`, and numbers that are part of a word
(`int8`). A block that links no result may hold no figure, which there is a number with a unit.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

NUMBER = re.compile(r"(?<![\w.,/-])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]\d+)?(?![\w]|[.,]\d)")
LOOSE = re.compile(r"(?<![\w.])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]\d+)?")  # also 93%, 2.85x
UNIT = re.compile(
    r"\s?(%|percent\b|µs\b|ms\b|s\b|seconds?\b|minutes?\b|hours?\b|times\b|points?\b|MB\b|GB\b"
    r"|requests/s|nodes/s)"
)
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
LINK = re.compile(r"!?\[([^\]]*)\]\(([^)\s]*)\)")
RESULT = re.compile(r"benchmarks/results/[\w./-]+\.md")
NAMES = re.compile(r"Gemma 3 270M|Apache-2\.0|Python 3\.\d+")
# Of a measurement, as how it is made: by what an interval covers, and a share of labels.
PROTOCOL = re.compile(r"95% intervals?|at 5%|60% labelled")
# A unit, and what its figure may have been multiplied by beside what stands in a result.
SCALES = {
    "%": (1.0, 100.0),
    "percent": (1.0, 100.0),
    "µs": (1.0, 1e3, 1e6),
    "ms": (1.0, 1e3, 1e-3),
    "s": (1.0, 1e-3),
    "MB": (1.0, 1e-6, 1e3),
    "GB": (1.0, 1e-9, 1e-3),
}
CLAUSE = re.compile(r"(?:[^;|.]|\.(?!\s))+")
LEAST_DIGITS = 2  # that count, of a whole number that was rounded


@dataclass(frozen=True)
class Figure:
    """A number as a page tells it.

    Attributes:
        text: as it is written.
        unit: empty if there is none.
        start: where it begins in the page.
    """

    text: str
    unit: str
    start: int

    @property
    def value(self) -> float:
        return number(self.text)

    def rounds(self, value: float) -> bool:
        """Whether this is what a value is when it is rounded as the text is."""
        _, _, fraction = self.text.partition(".")
        if fraction:
            return same(round(value, len(fraction)), self.value)
        if same(round(value), self.value):
            return True
        digits = self.text.replace(",", "").lstrip("+-")
        zeros = min(len(digits) - len(digits.rstrip("0")), len(digits) - LEAST_DIGITS)
        return zeros > 0 and same(round(value, -zeros), self.value)


@dataclass(frozen=True)
class Block:
    """A paragraph, an item or a row, and where it begins in the page."""

    text: str
    start: int

    def results(self, root: Path, page: Path) -> list[Path]:
        """The committed results that it links."""
        found = []
        for _, target in LINK.findall(self.text):
            path = (page.parent / target.partition("#")[0]).resolve()
            if path.is_relative_to(root) and RESULT.fullmatch(path.relative_to(root).as_posix()):
                found.append(path)
        return found

    def clauses(self) -> Iterator[list[Figure]]:
        """The figures that are told, by clause, with what is no figure blanked out."""
        blanked = self.text
        for pattern in (CODE, NAMES, PROTOCOL):
            blanked = pattern.sub(lambda m: " " * len(m[0]), blanked)
        blanked = LINK.sub(lambda m: f" {m[1]} ".ljust(len(m[0])), blanked)
        for clause in CLAUSE.finditer(blanked):
            yield [
                Figure(match[0], unit[1] if unit else "", self.start + match.start())
                for match in NUMBER.finditer(blanked, *clause.span())
                for unit in [UNIT.match(blanked, match.end())]
            ]


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a page, without its blocks of code, headings and comments."""
    hidden = re.sub(r"```.*?```|<!--.*?-->", lambda m: re.sub(r"\S", " ", m[0]), text, flags=re.S)
    start, kept = 0, ""
    place = 0
    for line in [*hidden.splitlines(keepends=True), "\n"]:
        opens = re.match(r"\||- |\* |\d+\. |#", line)
        if kept and (opens or not line.strip()):
            yield Block(kept, start)
            kept = ""
        if line.strip() and not line.startswith("#"):
            start = start if kept else place
            kept += line
        place += len(line)


def unfounded(root: Path, page: Path, text: str | None = None) -> list[str]:
    """The figures of a page that stand in no result that their block links, and why."""
    root, contents = root.resolve(), page.read_text(encoding="utf-8") if text is None else text
    missing = []
    for block in blocks(contents):
        results = block.results(root, page.resolve())
        names = ", ".join(result.name for result in results)
        lines = [line for result in results for line in lines_of(result)]
        for figures in block.clauses():
            said = ", ".join(f"{figure.text} {figure.unit}".strip() for figure in figures)
            if not results and any(figure.unit for figure in figures):
                missing.append(f"{said}: links no result")
            elif results and not any(holds(line, figures) for line in lines):
                missing.append(f"{said}: in no line of {names}")
    return missing


def holds(values: Sequence[float], figures: Iterable[Figure]) -> bool:
    """Whether each figure is one of the values."""
    return all(
        any(figure.rounds(value * scale) for value in values for scale in scales(figure))
        for figure in figures
    )


def scales(figure: Figure) -> tuple[float, ...]:
    return SCALES.get(figure.unit, (1.0,))


@cache
def lines_of(path: Path) -> list[list[float]]:
    """The numbers of each line of a result; and none, for a clause without figures."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [[], *([number(text) for text in LOOSE.findall(line)] for line in lines)]


def number(text: str) -> float:
    return float(text.replace(",", ""))


def same(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-9 * max(1.0, abs(other))
