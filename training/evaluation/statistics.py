"""Paired differences between ways to train a student, and their statistics.

Each split gives one value: its initialisations share a teacher and a test set, so they are averaged
first. Splits of one graph share nodes, so their differences are correlated, and a plain t-test is
too optimistic. The variance of a mean over n splits is that of one split times 1/n + r/(1 - r),
where r is the correlation (Nadeau and Bengio, Inference for the Generalization Error, Machine
Learning 52, 2003, section 3). It is unknown in general.

- If a split trains on at least as many nodes as it tests on, r is taken as they propose, as the
  share of the test split: the factor is 1/n + test/train (their corrected resampled t-test).
- If it trains on few nodes and tests on most, that would treat splits as near copies of each other
  (with 20 labels a class on Cora: 1/10 + 15), although they differ by the few training nodes, which
  splits hardly share. Then the covariance is measured. It comes from the common test nodes: the
  mean product, over such nodes and pairs of splits, of the difference between two ways at the node
  minus their mean difference in that split.

Both are kept; `Difference.p` is the one that is reported.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from training.evaluation.plan import CHOSEN, CHOSEN_FROM
from training.evaluation.rows import Row

LEVEL = 0.05  # for all tests of a table together, after Holm; each interval covers 1 - LEVEL
DRAWS = 9_999  # of sign flips; all of them if there are no more (13 splits)
SAME = 1e-12  # differences below this are due to rounding

Key = TypeVar("Key", bound=Hashable)
Way = tuple[str, str, str, str]  # encoder, student, recipe, teacher


@dataclass(frozen=True, slots=True)
class Summary:
    """One way, over its splits; accuracies are shares, 0 to 1."""

    encoder: str
    student: str
    recipe: str
    teacher: str
    splits: int
    runs: int
    accuracy: float  # mean over splits, of the test split
    deviation: float  # standard deviation between splits; for one split, between initialisations
    macro_f1: float
    calibration_error: float  # before temperature scaling
    validation_accuracy: float
    convergence_epoch: float
    taught_accuracy: float | None  # of the students' targets, on test


@dataclass(frozen=True, slots=True)
class Difference:
    """Test accuracy of one way minus that of another, over the splits of both; shares.

    Interval and p-values are NaN if no test is defined: for fewer than two splits, or if all splits
    differ by the same amount.
    """

    splits: int
    mean: float
    low: float  # of the 95% interval, from the same variance as `p`
    high: float
    p: float  # two-sided, from the t-test that suits the split
    p_ratio: float  # from the corrected resampled t-test, factor 1/n + test/train
    p_exact: float  # from sign flips, as if splits were independent
    p_holm: float = float("nan")  # `p`, corrected for all tests of a table

    @property
    def significant(self) -> bool:
        """Whether it remains significant after the correction for all tests of its table."""
        return bool(self.p_holm < LEVEL)


def way(row: Row) -> Way:
    return row.encoder, row.student, row.recipe, row.teacher


def grouped(rows: Sequence[Row]) -> dict[Way, list[Row]]:
    """Groups rows by way, in order."""
    return grouped_by(rows, way)


def grouped_by(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    """Groups rows by a key, in the order of each key's first row."""
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def split_of(row: Row) -> int:
    return row.split


def chosen(rows: Sequence[Row]) -> list[Row]:
    """The effect of choosing between recipes on validation: for each teacher, split and seed, the
    run of `CHOSEN_FROM` with the highest validation accuracy, relabelled as the recipe `CHOSEN`.

    Empty if there is no choice.
    """
    runs = []
    for teacher in dict.fromkeys(row.teacher for row in rows if row.teacher):
        offered = [row for row in rows if row.teacher in ("", teacher)]
        groups = grouped_by(
            (row for name in CHOSEN_FROM for row in offered if row.recipe == name),
            lambda row: (row.encoder, row.student, row.split, row.seed),
        )
        choices = [group for group in groups.values() if len(group) > 1]
        best = [max(group, key=lambda row: row.val_accuracy) for group in choices]
        runs += [replace(row, recipe=CHOSEN, teacher=teacher) for row in best]
    return runs


def summarize(rows: Sequence[Row]) -> list[Summary]:
    """One summary per way, in the rows' order."""
    return [summary(key, group) for key, group in grouped(rows).items()]


def summary(key: Way, rows: Sequence[Row]) -> Summary:
    def mean(name: str) -> float:
        return float(np.mean(list(by_split(rows, name).values())))

    taught = all(row.taught_accuracy is not None for row in rows)  # not so where some were chosen
    accuracies = list(by_split(rows, "test_accuracy").values())
    varied = accuracies if len(accuracies) > 1 else [row.test_accuracy for row in rows]
    return Summary(
        *key,
        splits=len(accuracies),
        runs=len(rows),
        accuracy=mean("test_accuracy"),
        deviation=float(np.std(varied, ddof=1)) if len(varied) > 1 else 0.0,
        macro_f1=mean("test_macro_f1"),
        calibration_error=mean("test_calibration_error"),
        validation_accuracy=mean("val_accuracy"),
        convergence_epoch=mean("convergence_epoch"),
        taught_accuracy=mean("taught_accuracy") if taught else None,
    )


def by_split(rows: Sequence[Row], name: str) -> dict[int, float]:
    """The mean of a figure over each split's initialisations."""
    groups = grouped_by(sorted(rows, key=split_of), split_of)
    return {
        split: float(np.mean([getattr(row, name) for row in group]))
        for split, group in groups.items()
    }


def difference(
    rows: Sequence[Row], others: Sequence[Row], figure: str = "test_accuracy"
) -> Difference:
    """The difference in accuracy between two ways, on the splits that both were run on.

    Args:
        figure: the column to compare; common test nodes are only known for `test_accuracy`
    """
    first, second = by_split(rows, figure), by_split(others, figure)
    splits = sorted(first.keys() & second.keys())
    values = np.array([first[split] - second[split] for split in splits])
    nothing = float("nan")
    if len(values) < 2 or (np.ptp(values) < SAME):
        mean = float(values.mean()) if len(values) else nothing
        return Difference(len(values), mean, *[nothing] * 5)
    ratio = float(np.mean([row.test / row.train for row in rows]))
    corrected = values.var(ddof=1) * (1 / len(values) + ratio)
    variance = corrected
    if ratio > 1:
        variance = values.var(ddof=1) / len(values) + shared_covariance(rows, others)
    low, high, p = t_test(values, variance)
    p_ratio = t_test(values, corrected)[2]
    return Difference(len(values), float(values.mean()), low, high, p, p_ratio, sign_flips(values))


def t_test(values: NDArray[np.float64], variance: float) -> tuple[float, float, float]:
    """The 95% interval of the mean of n values, and the two-sided p-value of its being 0, by
    Student's t with n - 1 degrees of freedom.

    Args:
        variance: of the mean
    """
    student = stats.t(len(values) - 1, loc=values.mean(), scale=np.sqrt(variance))
    low, high = student.interval(1 - LEVEL)
    return float(low), float(high), float(2 * min(student.cdf(0), student.sf(0)))


def sign_flips(values: NDArray[np.float64]) -> float:
    """The p-value of the mean among all sign flips, two-sided; beyond 13 values among DRAWS."""
    test = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=DRAWS, vectorized=True, rng=0
    )
    return float(test.pvalue)


def shared_covariance(rows: Sequence[Row], others: Sequence[Row]) -> float:
    """The covariance of two splits' differences that is due to their common test nodes.

    It is the mean, over pairs of splits and panel nodes that both test on, of the product of the
    two differences at the node, each centred by its split's mean; divided by the number of labelled
    nodes, since two splits of T test nodes among L share about T²/L of T².
    """
    first, second = node_accuracy(rows), node_accuracy(others)
    centered = []
    for split in first.keys() & second.keys():
        values = first[split] - second[split]  # NaN: no test node of the split
        if not np.isnan(values).all():
            centered.append(values - np.nanmean(values))
    if not centered:
        return 0.0
    table = np.array(centered)  # [splits, nodes]
    tested = np.isfinite(table).sum(axis=0)
    pairs = (tested * (tested - 1) // 2).sum()  # of splits that both test on a node, over all nodes
    if not pairs:
        return 0.0
    products = (np.nansum(table, axis=0) ** 2 - np.nansum(table**2, axis=0)) / 2
    return max(float(products.sum() / pairs), 0.0) / rows[0].labeled


def node_accuracy(rows: Sequence[Row]) -> dict[int, NDArray[np.float64]]:
    """The share of a split's students that are right about each panel node; NaN: not tested."""
    shares: dict[int, NDArray[np.float64]] = {}
    for split, group in grouped_by(rows, split_of).items():
        right = np.mean([bits(row.panel_right) for row in group], axis=0)
        shares[split] = np.where(bits(group[0].panel) == 1, right, np.nan)
    return shares


def bits(packed: bytes) -> NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(packed, dtype=np.uint8))


def corrected(
    differences: Mapping[tuple[Way, Way], Difference],
) -> dict[tuple[Way, Way], Difference]:
    """The differences of one table, their p-values corrected by Holm for all of them."""
    tested = {key: gain for key, gain in differences.items() if not np.isnan(gain.p)}
    if not tested:
        return dict(differences)
    # Imported here because it takes a second, which training alone need not spend.
    from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

    adjusted = multipletests([gain.p for gain in tested.values()], method="holm")[1]
    changed = {
        key: replace(gain, p_holm=float(p))
        for (key, gain), p in zip(tested.items(), adjusted, strict=True)
    }
    return {key: changed.get(key, gain) for key, gain in differences.items()}
