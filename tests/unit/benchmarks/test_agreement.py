"""Another machine's runs beside the committed ones."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import agreement
from benchmarks.common import results
from benchmarks.errors import BenchmarkError
from tests.unit.training.evaluation.rows import rows
from tests.unit.training.evaluation.test_rows import ALONE, FACTS
from training.evaluation.rows import RUNS_FILE, write_rows
from training.recipe_names import SELF, VANILLA


def write(folder: Path, ways: Mapping[str, Any], facts: Mapping[str, Any] = FACTS) -> Path:
    folder.mkdir(parents=True)
    found = [row for recipe, values in ways.items() for row in rows(recipe, values)]
    write_rows(folder / RUNS_FILE, found, facts)
    return folder


def test_a_split_is_held_against_the_interval_of_one_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    there = np.array([0.70, 0.72, 0.74])
    write(tmp_path / "committed" / "kites", {VANILLA: there, SELF: there})
    own = write(tmp_path / "own" / "seen", {VANILLA: np.array([0.71]), SELF: np.array([0.62])})
    agreement.main(own, tmp_path / "committed", "kites")
    found = json.loads((tmp_path / "results" / "agreement_seen.json").read_text("utf-8"))
    ways = {way["way"][2]: way for way in found["ways"]}
    assert ways[VANILLA]["here"] == {"0": 71.0}
    assert ways[VANILLA]["there"] == {"0": 70.0}
    assert ways[VANILLA]["interval"] == [62.06, 81.94]  # 72 ± 4.303 · 2 · √(4/3)
    assert ways[VANILLA]["within"] == 1
    assert ways[SELF]["within"] == 0
    text = (tmp_path / "results" / "agreement_seen.md").read_text("utf-8")
    assert "1 of 2 accuracies are within" in text
    assert "differ by -3.50 points in the mean, 4.50 in size" in text


@pytest.mark.parametrize(
    ("facts", "splits", "message"),
    [
        (FACTS | {"graph_hash": "0b"}, 3, "another graph"),
        (FACTS, 2, "not of these splits"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(
    tmp_path: Path, facts: Mapping[str, Any], splits: int, message: str
) -> None:
    write(tmp_path / "committed" / "kites", {VANILLA: ALONE[:splits]}, facts)
    own = write(tmp_path / "own" / "kites", {VANILLA: ALONE[:1]})
    with pytest.raises(BenchmarkError, match=message):
        agreement.main(own, tmp_path / "committed")
