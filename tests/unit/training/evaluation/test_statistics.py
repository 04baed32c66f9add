"""Differences over splits, against known results."""

import math

import numpy as np
import pytest
from scipy import stats

from tests.unit.training.evaluation.rows import row, rows
from training.evaluation.plan import CHOSEN
from training.evaluation.rows import Row
from training.evaluation.statistics import (
    chosen,
    corrected,
    difference,
    shared_covariance,
    sign_flips,
    summarize,
    way,
)
from training.recipe_names import COMBINED, RANDOM, VANILLA


def test_the_corrected_resampled_t_test_is_that_of_a_hand_computation() -> None:
    # Differences 1, 2, 3, 6 points: mean 3, variance 14/3. Train 60, test 20: the variance of the
    # mean is 14/3 (1/4 + 1/3) = 49/18, so t = 3 / 1.64992 = 1.81827 with 3 degrees of freedom.
    base = np.array([0.5, 0.6, 0.7, 0.8])
    found = difference(
        rows(COMBINED, base + np.array([0.01, 0.02, 0.03, 0.06])), rows(VANILLA, base)
    )
    assert found.splits == 4
    assert found.mean == pytest.approx(0.03)
    error = math.sqrt(49 / 18) / 100
    # Student's t with 3 degrees of freedom has the distribution function
    # 1/2 + (atan x + x / (1 + x^2)) / pi with x = t / sqrt(3).
    x = 3 / math.sqrt(49 / 18) / math.sqrt(3)
    p = 1 - 2 / math.pi * (math.atan(x) + x / (1 + x * x))
    assert found.p == found.p_ratio == pytest.approx(p, abs=1e-9)
    assert p == pytest.approx(0.1666, abs=1e-4)
    critical = 3.182446  # of tables: two-sided 5%, 3 degrees of freedom
    assert (found.low, found.high) == pytest.approx(
        (0.03 - critical * error, 0.03 + critical * error), abs=1e-6
    )
    assert found.p > stats.ttest_1samp([0.01, 0.02, 0.03, 0.06], 0).pvalue


def test_the_interval_of_the_corrected_test_covers_as_often_as_it_says() -> None:
    # Splits of r = 1/4 in common, which is what train 60 and test 20 stand for.
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        own = generator.normal(0, math.sqrt(3 / 4), 4) + generator.normal(0, math.sqrt(1 / 4))
        found = difference(rows(COMBINED, 0.01 * own), rows(VANILLA, np.zeros(4)))
        covered += found.low <= 0 <= found.high
    assert 0.92 < covered / 400 < 0.98


def test_initialisations_of_a_split_are_one_figure() -> None:
    base = np.array([0.5, 0.6, 0.7])
    gains = np.array([0.01, 0.03, 0.02])
    once = difference(rows(COMBINED, base + gains), rows(VANILLA, base))
    many = [
        row(COMBINED, split, base[split] + gains[split] + shift, seed)
        for split in range(3)
        for seed, shift in enumerate((-0.02, 0.02))
    ]
    found = difference(list(reversed(many)), rows(VANILLA, base))
    assert found.splits == 3
    assert found.mean == pytest.approx(0.02)
    assert found.p == pytest.approx(once.p)
    (summary,) = summarize(many)
    assert (summary.splits, summary.runs) == (3, 6)
    assert summary.deviation == pytest.approx((base + gains).std(ddof=1))


def test_the_deviation_is_over_splits_and_of_a_single_one_over_its_initialisations() -> None:
    (summary,) = summarize([row(COMBINED, 0, value, seed) for seed, value in enumerate((0.5, 0.7))])
    assert (summary.splits, summary.runs) == (1, 2)
    assert summary.accuracy == pytest.approx(0.6)
    assert summary.deviation == pytest.approx(np.std([0.5, 0.7], ddof=1))
    two = [
        row(COMBINED, split, 0.5 + 0.1 * (split + seed), seed) for split, seed in np.ndindex(2, 2)
    ]
    (summary,) = summarize(two)
    assert summary.deviation == pytest.approx(np.std([0.55, 0.65], ddof=1))
    (alone,) = summarize([row(COMBINED, 0, 0.5, 0)])
    assert alone.deviation == 0


def test_sign_flips_are_exact() -> None:
    assert sign_flips(np.array([1.0, 2.0, 3.0])) == pytest.approx(2 / 8)
    assert sign_flips(np.linspace(1, 2, 10)) == pytest.approx(2 / 1024)
    # Of the 8 flips of -1, 2, 3 only those of +-(1, 2, 3) and +-(-1, 2, 3) sum to 4 or more.
    assert sign_flips(np.array([-1.0, 2.0, 3.0])) == pytest.approx(4 / 8)


def test_holm_is_that_of_a_hand_computation_and_passes_over_what_was_not_tested() -> None:
    def found(p: float) -> tuple[list[Row], list[Row]]:
        # Three splits whose corrected t-test gives p: 2 degrees of freedom, factor 1/3 + 1/3.
        t = stats.t.isf(p / 2, 2)
        spread = np.array([-1.0, 0.0, 1.0])
        return rows(COMBINED, 0.5 + 0.001 * (spread + t * math.sqrt(2 / 3))), rows(
            VANILLA, np.full(3, 0.5)
        )

    wanted = (0.01, 0.04, 0.03, 0.005)
    parts = {f"student{number}": found(p) for number, p in enumerate(wanted)}
    one = (rows(COMBINED, np.array([0.6])), rows(VANILLA, np.array([0.5])))
    parts["single"] = one
    key = way(one[0][0])
    given = {((name, *key[1:]), key): difference(*both) for name, both in parts.items()}
    holm = [d.p_holm for d in corrected(given).values()]
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, and never below the one before.
    assert holm[:4] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert math.isnan(holm[4])
    assert [d.significant for d in corrected(given).values()] == [True, False, False, True, False]
    assert corrected({}) == {}


def test_no_difference_is_no_evidence_and_one_split_has_no_test() -> None:
    same = difference(rows(COMBINED, np.full(4, 0.8)), rows(VANILLA, np.full(4, 0.8)))
    assert same.mean == 0
    assert math.isnan(same.p)
    assert not same.significant
    single = difference(rows(COMBINED, np.array([0.9])), rows(VANILLA, np.array([0.8])))
    assert single.mean == pytest.approx(0.1)
    assert math.isnan(single.low)


def packed(values: np.ndarray) -> bytes:
    return np.packbits(values.astype(bool)).tobytes()


def panels(recipe: str, tested: np.ndarray, right: np.ndarray) -> list[Row]:
    """Rows of a few-label evaluation, a split a line of [splits, nodes]."""
    return [
        row(
            recipe,
            split,
            float(right[split][tested[split]].mean()),
            labeled=tested.shape[1],
            train=20,
            test=int(tested[split].sum()),
            panel=packed(tested[split]),
            panel_right=packed(right[split] & tested[split]),
        )
        for split in range(len(tested))
    ]


def test_where_few_nodes_are_trained_on_the_covariance_of_shared_test_nodes_is_measured() -> None:
    # Two splits that test on all four nodes: differences 1, 1, 0, 0 in both; without the mean of
    # one half, all products are 1/4; over four labelled nodes 1/16.
    tested = np.ones((2, 4), dtype=bool)
    right = np.array([[1, 1, 0, 0]] * 2, dtype=bool)
    first, second = panels(COMBINED, tested, right), panels(VANILLA, tested, right & False)
    assert shared_covariance(first, second) == pytest.approx(1 / 16)


def test_the_interval_covers_where_test_nodes_are_shared_and_the_published_ratio_is_wider() -> None:
    generator = np.random.default_rng(1)
    nodes, splits, covered, draws = 200, 8, 0, 150
    truth = 0.1
    for _ in range(draws):
        tested = np.ones((splits, nodes), dtype=bool)
        tested[:, :20] = False
        ease = generator.normal(0, 1.0, nodes)  # what nodes have in all splits alike
        shift = stats.norm.ppf(0.5 + truth) * math.sqrt(1 + 1)  # so that `truth` more are right
        noise = generator.normal(0, 1.0, (2, splits, nodes))
        first, second = ease + noise[0] + shift > 0, -ease + noise[1] > 0
        found = difference(panels(COMBINED, tested, first), panels(VANILLA, tested, second))
        covered += found.low <= truth <= found.high
        assert found.p_ratio > found.p
    assert covered / draws > 0.9


def test_the_chosen_run_is_the_best_on_validation_and_no_control() -> None:
    def run(recipe: str, split: int, validation: float, test: float) -> Row:
        return row(recipe, split, test, val_accuracy=validation)

    runs = [
        run(RANDOM, 0, 0.99, 0.1),
        run(COMBINED, 0, 0.80, 0.5),
        run(VANILLA, 0, 0.80, 0.6),  # as good on validation as the combination, and simpler
        run(VANILLA, 1, 0.70, 0.7),
        run(COMBINED, 1, 0.71, 0.8),
    ]
    found = chosen(runs)
    assert {one.split: one.test_accuracy for one in found} == {0: 0.6, 1: 0.8}
    assert {(one.recipe, one.teacher) for one in found} == {(CHOSEN, "a model")}
    assert chosen([one for one in runs if one.recipe in (VANILLA, RANDOM)]) == []


@pytest.mark.parametrize("first", [None, 0.9])
def test_what_is_chosen_has_no_teachers_accuracy_unless_every_run_has_one(
    first: float | None,
) -> None:
    taught = [first, None if first else 0.9]
    rows = [row(CHOSEN, split, 0.8, taught_accuracy=share) for split, share in enumerate(taught)]
    (found,) = summarize(rows)
    assert found.taught_accuracy is None
