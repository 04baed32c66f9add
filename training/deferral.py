"""When `route: auto` asks the teacher: only if that was better on validation, with a bound.

The correctness of student and teacher is compared on the validation nodes that the teacher was
asked about, in the form in which it is served. A rule defers the nodes whose signal is below a
threshold; the signal is the student's calibrated confidence, or the agreement of its prediction
with the neighbours'. Thresholds are deciles of the validation nodes, so there are 20 rules.

Among the deferred nodes on which exactly one of the two is right, the teacher is right on w of n. A
rule passes if an exact one-sided sign test says that this is more than half: P(Bin(n, 1/2) >= w) is
at most 0.05, divided by the number of rules and of hops among which the served one was chosen
(Bonferroni). So the probability that any rule passes which makes the system worse than the student
alone is at most 0.05. A threshold is an order statistic of the signal; given it, the nodes below
are independent draws, so choosing it from the data does not weaken the bound.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, betaincinv

from understudy.counting import counted

LEVEL = 0.05  # probability that a bound does not hold
TENTHS = 10  # number of thresholds per signal
NEVER = 1.01  # a threshold that no signal reaches: everything is deferred
CONFIDENCE, AGREEMENT = "confidence", "agreement"  # signals
DECIMALS = 1e6  # precision of a score in answers; thresholds are cut to the same
UNMEASURED = "auto never defers: no teacher was measured on validation nodes"


@dataclass(frozen=True, slots=True)
class TeacherCheck:
    """The served teacher's correctness on validation nodes.

    Shapes:
        rows: int64 [K], positions of the validation nodes it was asked about
        right: bool [K]
    """

    rows: NDArray[np.int64]
    right: NDArray[np.bool_]
    hops: int = 1  # number of hops among which the served one was chosen


@dataclass(frozen=True, slots=True)
class Deferral:
    """The rule of `auto`, and its effect on validation nodes that the teacher was asked about.

    Without a rule, the figures are those of the best one tried.
    """

    summary: str  # a one-line summary
    signal: str = CONFIDENCE
    threshold: float | None = None  # the teacher is asked below it; None: never
    nodes: int = 0  # validation nodes that both answered
    student: float = 0.0  # accuracy on them, alone
    teacher: float = 0.0
    system: float = 0.0  # accuracy of the whole under the rule
    deferred: float = 0.0  # share of deferred nodes
    wins: int = 0  # deferred nodes on which only the teacher is right
    losses: int = 0  # deferred nodes on which only the student is right
    p_value: float = 1.0  # of the sign test
    tests: int = 1  # number of tests that share the level
    level: float = LEVEL
    kept_accuracy: float = 0.0  # of the student's own answers under the rule, all validation nodes
    kept_bound: float = 0.0  # its lower bound at that level, for any rule

    @property
    def passes(self) -> bool:
        return self.p_value <= self.level / self.tests


def lower_bound(right: int, count: int, level: float) -> float:
    """The lower bound of a share at confidence 1 - `level` (Clopper and Pearson, 1934)."""
    return float(betaincinv(right, count - right + 1, level)) if right else 0.0


def sign_test(wins: int, trials: int) -> float:
    """The probability of at least so many wins, if wins and losses are equally likely."""
    return float(bdtrc(wins - 1, trials, 0.5))


def thresholds(signal: NDArray[np.float64]) -> Iterator[float]:
    """The signal's distinct deciles, ascending, then the threshold that defers everything.

    The first one defers nothing.
    """
    ordered = np.sort(signal)
    places = [round(len(ordered) * tenth / TENTHS) for tenth in range(TENTHS)]
    cuts = np.floor(ordered[np.minimum(places, len(ordered) - 1)] * DECIMALS) / DECIMALS
    yield from np.unique(cuts).tolist()
    yield NEVER


def decide(
    signals: Mapping[str, NDArray[np.float64]],
    student: NDArray[np.bool_],
    teacher: TeacherCheck | None,
    wanted: float,
) -> Deferral:
    """The best rule that passes; the one with the fewest deferrals among ties.

    Rules that defer more than needed are not tried: once the student's own answers reach the wanted
    accuracy (Clopper-Pearson, all bounds at once), deferring stops.

    Args:
        wanted: target accuracy of the student's own answers, 0 to 1.

    Shapes:
        signals: by name float64 [B], of validation nodes; lower is less certain
        student: bool [B], whether it is right
    """
    if teacher is None or not len(teacher.rows):
        return Deferral(UNMEASURED)
    tried = [
        rule
        for name, signal in signals.items()
        for rule in rules(name, signal, student, teacher, wanted, len(signals))
    ]
    if not tried:
        return unneeded(student, teacher, wanted)
    passed = [rule for rule in tried if rule.passes]
    best = max(passed or tried, key=lambda rule: (rule.system, -rule.deferred))
    return chosen(best) if passed else refused(best)


def rules(
    name: str,
    signal: NDArray[np.float64],
    student: NDArray[np.bool_],
    teacher: TeacherCheck,
    wanted: float,
    signals: int,
) -> Iterator[Deferral]:
    """Yields the rules of one signal, starting with the fewest deferrals."""
    own = student[teacher.rows]
    for threshold in thresholds(signal):
        kept = student[signal >= threshold]
        bound = lower_bound(int(kept.sum()), len(kept), LEVEL / (signals * TENTHS))
        low = signal[teacher.rows] < threshold
        if low.any():
            wins = int((low & teacher.right & ~own).sum())
            losses = int((low & own & ~teacher.right).sum())
            yield Deferral(
                summary="",
                signal=name,
                threshold=threshold,
                nodes=len(own),
                student=float(own.mean()),
                teacher=float(teacher.right.mean()),
                system=float(np.where(low, teacher.right, own).mean()),
                deferred=float(low.mean()),
                wins=wins,
                losses=losses,
                p_value=sign_test(wins, wins + losses),
                tests=signals * TENTHS * teacher.hops,
                kept_accuracy=float(kept.mean()) if len(kept) else 0.0,
                kept_bound=bound,
            )
        if bound >= wanted:
            return


def chosen(rule: Deferral) -> Deferral:
    return replace(rule, summary=f"auto defers where {figures(rule)}")


def unneeded(student: NDArray[np.bool_], teacher: TeacherCheck, wanted: float) -> Deferral:
    alone, taught = float(student[teacher.rows].mean()), float(teacher.right.mean())
    summary = (
        f"auto never defers: all answers of the student are as right as was wanted "
        f"({student.mean():.3f} of {len(student):,} validation nodes, at least {wanted:g} for sure)"
    )
    return Deferral(summary, nodes=len(teacher.rows), student=alone, teacher=taught, system=alone)


def refused(best: Deferral) -> Deferral:
    least = best.level / best.tests
    summary = f"auto never defers: at best, where {figures(best)}; p must be {least:.2g} at most"
    return replace(best, threshold=None, summary=summary)


def figures(rule: Deferral) -> str:
    below = "whatever it is" if rule.threshold == NEVER else f"below {rule.threshold:.3f}"
    return (
        f"{rule.signal} is {below} ({rule.deferred:.0%} of {rule.nodes:,} validation nodes), both "
        f"together have an accuracy of {rule.system:.3f}, the student alone {rule.student:.3f}, "
        f"the teacher alone {rule.teacher:.3f}: asking mends {counted(rule.wins, 'answer')} "
        f"and spoils {rule.losses:,} (p = {rule.p_value:.2g})"
    )
