"""Paired differences between ways to train a student, and what can be said of them.

A split gives one figure: its initialisations share a teacher and a test set, so they are averaged
first. Splits of one graph share nodes, so their differences are correlated, and a plain t-test
claims too much. The variance of a mean over n splits is that of one split times 1/n + r/(1 - r), r
being the correlation (Nadeau and Bengio, Inference for the Generalization Error, Machine Learning
52, 2003, section 3). It cannot be known in general.

- Where a split trains on as many nodes as it tests on, or more, r is taken as they propose, as the
  share of the test split: the factor is 1/n + test/train (their corrected resampled t-test).
- Where it trains on few nodes and tests on most, that would make splits near copies of each other
  (with 20 labels a class on Cora: 1/10 + 15), although it is the few training nodes, which splits
  hardly share, that make them differ. There the covariance is measured. It comes of the test nodes
  in common: the mean product, over such nodes and pairs of splits, of what two ways differ by at
  the node beyond what they differ by in that split.

Both are kept; `Difference.p` is the one that is told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from training.evaluation.plan import CHOSEN, CHOSEN_FROM
from training.evaluation.rows import Row

LEVEL = 0.05  # of a table's tests, all together, after Holm; intervals cover 1 - LEVEL each
DRAWS = 9_999  # of sign flips; all of them, where there are no more (13 splits)
SAME = 1e-12  # differences that differ by less do so by rounding

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
    deviation: float  # standard, between splits; of one split, between initialisations
    macro_f1: float
    calibration_error: float  # before the temperature
    validation_accuracy: float
    convergence_epoch: float
    taught_accuracy: float | None  # on test, of what the students were taught by


@dataclass(frozen=True, slots=True)
class Difference:
    """Test accuracy of one way less that of another, over the splits of both; shares.

    Interval and p-values are NaN where no test is defined: of fewer than two splits, or where every
    split differs by the same.
    """

    splits: int
    mean: float
    low: float  # of the interval of 95%, by the same variance as `p`
    high: float
    p: float  # two-sided, of the t-test that suits the split
    p_ratio: float  # of the corrected resampled t-test, factor 1/n + test/train
    p_exact: float  # of flipping signs, as if splits were independent
    p_holm: float = float("nan")  # `p`, corrected for all tests of a table

    @property
    def significant(self) -> bool:
        """Whether it survives the correction for all of its table's tests."""
        return bool(self.p_holm < LEVEL)


def way(row: Row) -> Way:
    return row.encoder, row.student, row.recipe, row.teacher


def grouped(rows: Sequence[Row]) -> dict[Way, list[Row]]:
    """Rows by way, in their order."""
    groups: dict[Way, list[Row]] = {}
    for row in rows:
        groups.setdefault(way(row), []).append(row)
    return groups


def chosen(rows: Sequence[Row]) -> list[Row]:
    """What choosing between recipes on validation comes to, for each teacher a run of each split
    and seed: that of `CHOSEN_FROM` with the highest validation accuracy, as if it were of the
    recipe `CHOSEN`.

    Nothing where there is no choice.
    """
    found = []
    for teacher in dict.fromkeys(row.teacher for row in rows if row.teacher):
        groups: dict[tuple[str, str, int, int], list[Row]] = {}
        offered = [row for row in rows if row.teacher in ("", teacher)]
        for row in (row for name in CHOSEN_FROM for row in offered if row.recipe == name):
            key = row.encoder, row.student, row.split, row.seed
            groups.setdefault(key, []).append(row)
        best = [max(own, key=lambda row: row.val_accuracy) for own in groups.values() if own[1:]]
        found += [replace(row, recipe=CHOSEN, teacher=teacher) for row in best]
    return found


def summarize(rows: Sequence[Row]) -> list[Summary]:
    """One summary a way, in the rows' order."""
    return [summary(key, own) for key, own in grouped(rows).items()]


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
    """A figure's mean over a split's initialisations."""
    found: dict[int, list[float]] = {}
    for row in sorted(rows, key=lambda row: row.split):
        found.setdefault(row.split, []).append(getattr(row, name))
    return {split: float(np.mean(values)) for split, values in found.items()}


def difference(
    rows: Sequence[Row], others: Sequence[Row], figure: str = "test_accuracy"
) -> Difference:
    """How much more accurate one way is than another, on the splits that both were run on.

    Args:
        figure: the column that is compared; test nodes in common are known of `test_accuracy`
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
    """The two-sided p-value of the mean among those of all flips of signs; exact up to 13 values,
    beyond that of 9,999 draws.
    """
    found = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=DRAWS, vectorized=True, rng=0
    )
    return float(found.pvalue)


def shared_covariance(rows: Sequence[Row], others: Sequence[Row]) -> float:
    """The covariance of two splits' differences that comes of the test nodes they share.

    Of nodes of the panel: the mean over pairs of splits, and over nodes that both test on, of the
    product of the two differences at the node, each without its split's mean; divided by the
    number of labelled nodes, since two splits of T test nodes among L share about T²/L of T².
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
    """How often a split's students are right about each node of the panel; NaN: not tested."""
    found: dict[int, NDArray[np.float64]] = {}
    groups: dict[int, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.split, []).append(row)
    for split, own in groups.items():
        right = np.mean([bits(row.panel_right) for row in own], axis=0)
        found[split] = np.where(bits(own[0].panel) == 1, right, np.nan)
    return found


def bits(packed: bytes) -> NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(packed, dtype=np.uint8))


def corrected(
    differences: Mapping[tuple[Way, Way], Difference],
) -> dict[tuple[Way, Way], Difference]:
    """The differences of one table, their p-values corrected by Holm for all of them."""
    tested = {key: found for key, found in differences.items() if not np.isnan(found.p)}
    if not tested:
        return dict(differences)
    # Imported here: it takes a second, and whoever trains without a table need not wait for it.
    from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

    adjusted = multipletests([found.p for found in tested.values()], method="holm")[1]
    told = {
        key: replace(found, p_holm=float(p))
        for (key, found), p in zip(tested.items(), adjusted, strict=True)
    }
    return {key: told.get(key, found) for key, found in differences.items()}
