"""What the README and docs/results.md say of accuracy is what the committed results say."""

import json
import re
from pathlib import Path

from benchmarks.accuracy_results import END, PAGE, START, committed, tables
from benchmarks.accuracy_table import overview
from benchmarks.measure import RESULTS

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
RESULTS_PAGE = PAGE.read_text(encoding="utf-8")


def table_rows(text: str) -> list[str]:
    """Rows of tables that hold an accuracy, such as 83.5."""
    return [line for line in text.splitlines() if re.match(r"\|.*\b\d\d\.\d\b", line)]


def test_every_row_of_accuracy_is_one_of_the_results() -> None:
    evaluations = json.loads((RESULTS / "accuracy.json").read_text(encoding="utf-8"))["evaluations"]
    known = overview(evaluations).splitlines()
    told = re.findall(r"^\| (?:cora|citeseer|debian-10k) \|.*$", README, re.MULTILINE)
    known += table_rows(RESULTS_PAGE)  # which the next test holds to the runs
    assert len(told) >= 12  # three graphs, two kinds of split, two text encoders
    assert [row for row in told if row not in known] == []
    assert (RESULTS / "accuracy.md").read_text(encoding="utf-8").startswith("\n".join(known[:5]))


def test_the_page_of_results_is_what_its_command_writes_from_the_committed_runs() -> None:
    _, _, rest = RESULTS_PAGE.partition(START)
    body, _, after = rest.partition(END)
    assert body.strip() == tables(committed())
    assert table_rows(RESULTS_PAGE) == table_rows(body)  # no figure stands beside the written part
    assert after is not None
