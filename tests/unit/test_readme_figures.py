"""What the README says of accuracy is what the committed results say."""

import json
import re
from pathlib import Path

from benchmarks.accuracy_table import overview
from benchmarks.measure import RESULTS

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_every_row_of_accuracy_is_one_of_the_results() -> None:
    evaluations = json.loads((RESULTS / "accuracy.json").read_text(encoding="utf-8"))["evaluations"]
    known = overview(evaluations).splitlines()
    told = re.findall(r"^\| (?:cora|citeseer|debian-10k) \|.*$", README, re.MULTILINE)
    assert len(told) >= 12  # three graphs, two kinds of split, two text encoders
    assert [row for row in told if row not in known] == []
    assert (RESULTS / "accuracy.md").read_text(encoding="utf-8").startswith("\n".join(known))
