"""Every figure of the README and of the pages of results stands in the committed file it names."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.accuracy import page as accuracy_results
from benchmarks.common.generated_part import PAGE
from benchmarks.cost_results import page as cost_results
from tests.figures import Figure, blocks, unfounded

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", PAGE, ROOT / "docs" / "concepts" / "accuracy.md")
# Of all figures, how many must be missed when a digit is another; the rest are whole numbers
# that stand beside others of their kind.
LEAST_SHARE = 0.8


def handwritten(page: Path) -> str:
    """A page without what commands wrote."""
    text = page.read_text(encoding="utf-8")
    if page == PAGE:
        for part in (accuracy_results.PART, cost_results.PART):
            before, _, behind = part.split(text, page.name)
            text = before + behind
    return text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_figure_stands_in_the_result_that_is_named(page: Path) -> None:
    assert unfounded(ROOT, page, handwritten(page)) == []


def changed(text: str, figure: Figure) -> Iterator[str]:
    """The text with another last digit that counts: one more, and one less."""
    written = figure.text.rstrip("0.,") or figure.text
    place = figure.start + len(written) - 1
    for step in (1, 9):
        yield text[:place] + str((int(text[place]) + step) % 10) + text[place + 1 :]


def test_a_changed_figure_is_found() -> None:
    readme, found = PAGES[0], []
    for block in blocks(readme.read_text(encoding="utf-8")):
        if not block.results(ROOT, readme):
            continue
        (alone,) = blocks(block.text)
        figures = [figure for clause in alone.clauses() for figure in clause]
        others = [other for figure in figures for other in changed(block.text, figure)]
        found += [bool(unfounded(ROOT, readme, other)) for other in others]
    assert len(found) > 60
    assert sum(found) >= LEAST_SHARE * len(found)


RESULT = "[it](benchmarks/results/it.md)"


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        (f"8 µs, 50,000 times faster {RESULT}", []),
        (f"0.008 ms and 49,900 times {RESULT}", []),
        (f"9 µs {RESULT}", ["9 µs"]),
        (f"8 µs, 51,000 times faster {RESULT}", ["8 µs, 51,000 times"]),
        (f"8 µs and 0.7 ms {RESULT}", ["8 µs, 0.7 ms"]),  # which are not of one line
        (f"8 µs; 0.7 ms {RESULT}", []),
        (f"8 µs. It takes 0.7 ms {RESULT}", []),
        (f"| 8 µs | 0.7 ms | {RESULT} |", []),
        (f"62% and {RESULT}", []),
        (f"63% {RESULT}", ["63 %"]),
        (f"12.0 points {RESULT}", ["12.0 points"]),
        (f"int8, `9 µs`, Gemma 3 270M {RESULT}", []),
        ("8 µs", ["8 µs"]),
        ("In 3 files, as of Python 3.11", []),
        ("```\n9 µs\n```", []),
    ],
)
def test_what_a_block_tells(tmp_path: Path, line: str, missing: list[str]) -> None:
    result = tmp_path / "benchmarks" / "results" / "it.md"
    result.parent.mkdir(parents=True)
    result.write_text("| one | 0.008 | 49,851 times |\n| two | 0.698 | 0.62 | 12.34 |\n")
    page = tmp_path / "README.md"
    page.write_text(f"# A page\n\n{line}\n", encoding="utf-8")
    assert [re.split(r": (?:in no line|links)", each)[0] for each in unfounded(tmp_path, page)] == (
        missing
    )
