"""Paired comparisons of recipes with the vanilla student."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from training.evaluation.plan import CHOSEN, CHOSEN_FROM
from training.recipes import VANILLA

Result = Mapping[str, Any]
SAME = 1e-12  # gains that differ by less do so by rounding


@dataclass(frozen=True, slots=True)
class Summary:
    """One recipe on one student and encoder, over all runs; accuracies are shares, 0 to 1."""

    encoder: str
    student: str
    recipe: str
    runs: int
    accuracy: float  # mean, of the test split
    deviation: float  # standard, between runs
    macro_f1: float
    calibration_error: float  # before the temperature
    validation_accuracy: float
    convergence_epoch: float  # mean, first to reach 99% of the best validation accuracy
    gain: float  # mean difference to vanilla, of the same split and seed
    effect: float  # Cohen's d of the differences: mean over standard deviation
    wilcoxon_p: float  # two-sided; 1 where nothing differs or there are too few pairs
    t_test_p: float


def chosen(results: Sequence[Result]) -> list[Result]:
    """What choosing between recipes on validation comes to, a run of each split and seed: that of
    `CHOSEN_FROM` with the highest validation accuracy, as if it were of the recipe `CHOSEN`.

    Nothing where there is no choice.
    """
    groups: dict[tuple[Any, ...], list[Result]] = {}
    order = [
        result for name in CHOSEN_FROM for result in results if result["key"]["recipe"] == name
    ]
    for result in order:
        key = result["key"]
        groups.setdefault((key["encoder"], key["student"], *pair(result)), []).append(result)
    best = [
        max(members, key=lambda result: result["metrics"]["val_accuracy"])
        for members in groups.values()
        if len(members) > 1
    ]
    return [{**result, "key": {**result["key"], "recipe": CHOSEN}} for result in best]


def grouped(results: Sequence[Result]) -> dict[tuple[str, str, str], list[Result]]:
    """Results by encoder, student and recipe, in their order."""
    groups: dict[tuple[str, str, str], list[Result]] = {}
    for result in results:
        key = result["key"]
        groups.setdefault((key["encoder"], key["student"], key["recipe"]), []).append(result)
    return groups


def summarize(results: Sequence[Result]) -> list[Summary]:
    """One summary an encoder, student and recipe, in the results' order."""
    groups = grouped(results)
    return [
        summary(group, members, groups.get((group[0], group[1], VANILLA), []))
        for group, members in groups.items()
    ]


def summary(
    group: tuple[str, str, str], members: Sequence[Result], vanilla: Sequence[Result]
) -> Summary:
    metrics = [member["metrics"] for member in members]

    def mean(name: str) -> float:
        return float(np.mean([values[name] for values in metrics]))

    accuracies = [values["test_accuracy"] for values in metrics]
    gain, effect, wilcoxon, t_test = compare(members, vanilla)
    return Summary(
        *group,
        runs=len(members),
        accuracy=mean("test_accuracy"),
        deviation=float(np.std(accuracies, ddof=1)) if len(members) > 1 else 0.0,
        macro_f1=mean("test_macro_f1"),
        calibration_error=mean("test_calibration_error"),
        validation_accuracy=mean("val_accuracy"),
        convergence_epoch=mean("convergence_epoch"),
        gain=gain,
        effect=effect,
        wilcoxon_p=wilcoxon,
        t_test_p=t_test,
    )


def compare(
    members: Sequence[Result], others: Sequence[Result]
) -> tuple[float, float, float, float]:
    """Mean gain over the others, Cohen's d, both p-values; in pairs of equal split and seed."""
    base = {pair(result): result["metrics"]["test_accuracy"] for result in others}
    differences = np.array(
        [
            result["metrics"]["test_accuracy"] - base[pair(result)]
            for result in members
            if pair(result) in base
        ]
    )
    if len(differences) < 2 or not differences.any():
        return float(differences.mean()) if len(differences) else 0.0, 0.0, 1.0, 1.0
    deviation = float(differences.std(ddof=1))
    if np.ptp(differences) < SAME:  # the same gain every time: no test is defined
        return float(differences.mean()), float("inf"), 1.0, 1.0
    wilcoxon = float(stats.wilcoxon(differences, zero_method="zsplit", method="approx").pvalue)
    t_test = float(stats.ttest_1samp(differences, 0.0).pvalue)
    return float(differences.mean()), float(differences.mean()) / deviation, wilcoxon, t_test


def pair(result: Result) -> tuple[int, int]:
    return result["key"]["split"], result["key"]["seed"]
