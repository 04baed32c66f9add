"""Hashed texts are split into runs of bounded size, and returned in order."""

import numpy as np
import pytest

from tests.bundles import HASHING
from understudy.engine import inputs
from understudy.graph.hashing import TextHasher


def test_rows_are_taken_in_any_order() -> None:
    texts = ["one", "two three four", "five six"]
    hasher = TextHasher(HASHING)
    taken, direct = inputs.rows_of(hasher(texts), [2, 0]), hasher(["five six", "one"])
    np.testing.assert_array_equal(taken.indptr, direct.indptr)
    np.testing.assert_array_equal(taken.buckets, direct.buckets)
    np.testing.assert_array_equal(taken.weights, direct.weights)


def test_runs_stay_within_the_limit_and_hold_every_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MAX_BUCKETS_A_RUN", 100)
    hashed = TextHasher(HASHING)([f"word{i} " * (i % 7 + 1) + "x" * i for i in range(30)])
    lengths = np.diff(hashed.indptr)
    runs = inputs.similar_lengths(hashed, np.argsort(lengths, kind="stable"))
    assert sorted(row for run in runs for row in run) == list(range(30))
    assert all(len(run) == 1 or len(run) * lengths[run].max() <= 100 for run in runs)
