"""The page of results equals what its commands write."""

import math

import pytest

from benchmarks.accuracy import page as accuracy_results
from benchmarks.accuracy.page import committed, tables
from benchmarks.common.generated_part import PAGE
from benchmarks.common.results import RESULTS
from benchmarks.cost_results import page as cost_results
from training.evaluation import statistics


def test_it_is_what_its_commands_write_from_the_committed_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statistics, "sign_flips", lambda values: math.nan)  # slow, and not shown
    text = PAGE.read_text(encoding="utf-8")
    assert accuracy_results.PART.split(text, PAGE.name)[1] == tables(committed())
    assert cost_results.PART.split(text, PAGE.name)[1] == cost_results.sections(RESULTS)
