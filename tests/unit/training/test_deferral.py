"""Where `auto` defers: bounds hold over many draws, and gains are found."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta, binomtest

from training.calibration import calibrate, sure_threshold
from training.deferral import (
    AGREEMENT,
    CONFIDENCE,
    NEVER,
    Deferral,
    TeacherCheck,
    decide,
    lower_bound,
    sign_test,
)

DRAWS = 200
LEVEL = 0.05
POPULATION = 200_000
Share = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class World:
    """A calibrated student, and a teacher that is right with a chance of its own."""

    confidence: NDArray[np.float64]
    agreement: NDArray[np.float64]
    teacher: NDArray[np.float64]  # the chance that it is right

    def gain(self, rule: Deferral) -> float:
        """What a rule truly brings."""
        if rule.threshold is None:
            return 0.0
        low = self.signals[rule.signal] < rule.threshold
        return float(np.where(low, self.teacher - self.confidence, 0).mean())

    @property
    def signals(self) -> dict[str, NDArray[np.float64]]:
        return {CONFIDENCE: self.confidence, AGREEMENT: self.agreement}

    def drawn(self, rows: NDArray[np.int64]) -> "World":
        return World(self.confidence[rows], self.agreement[rows], self.teacher[rows])


def world(teacher: Share, generator: np.random.Generator) -> World:
    confidence = 0.3 + 0.7 * generator.beta(2, 1, POPULATION)
    agreement = generator.binomial(5, confidence) / 5
    return World(confidence, agreement, np.clip(teacher(confidence), 0, 1))


def decided(drawn: World, generator: np.random.Generator, wanted: float = 0.95) -> Deferral:
    student = generator.random(len(drawn.confidence)) < drawn.confidence
    right = generator.random(len(drawn.confidence)) < drawn.teacher
    check = TeacherCheck(np.arange(len(right)), right)
    return decide(drawn.signals, student, check, wanted)


@pytest.mark.parametrize("nodes", [200, 500])
@pytest.mark.parametrize(
    "teacher",
    [
        pytest.param(lambda confidence: confidence - 0.01, id="a little worse everywhere"),
        pytest.param(lambda confidence: 0 * confidence + 0.6, id="better where unsure"),
    ],
)
def test_auto_is_worse_than_the_student_in_few_draws(nodes: int, teacher: Share) -> None:
    generator = np.random.default_rng(nodes)
    all_nodes = world(teacher, generator)
    worse = 0
    for _ in range(DRAWS):
        rows = generator.integers(0, POPULATION, nodes)
        worse += all_nodes.gain(decided(all_nodes.drawn(rows), generator)) < 0
    assert worse <= LEVEL * DRAWS


@pytest.mark.parametrize("nodes", [200, 500])
def test_kept_answers_are_as_right_as_their_bound_says_in_most_draws(nodes: int) -> None:
    generator = np.random.default_rng(nodes)
    all_nodes = world(lambda confidence: 0 * confidence + 0.8, generator)
    broken = broken_own = deferring = 0
    for _ in range(DRAWS):
        drawn = all_nodes.drawn(generator.integers(0, POPULATION, nodes))
        rule = decided(drawn, generator)
        if rule.threshold is not None:
            deferring += 1
            kept = all_nodes.signals[rule.signal] >= rule.threshold
            broken += bool(kept.any() and all_nodes.confidence[kept].mean() < rule.kept_bound)
        right = generator.random(nodes) < drawn.confidence
        threshold, _, bound = sure_threshold(drawn.confidence, right, 0.9)
        own = all_nodes.confidence[all_nodes.confidence >= threshold]
        broken_own += len(own) > 0 and own.mean() < max(bound, 0.9)
    assert deferring > DRAWS / 4
    assert broken <= LEVEL * deferring
    assert broken_own <= LEVEL * DRAWS


def test_a_teacher_that_is_right_on_unsure_nodes_is_asked_there() -> None:
    generator = np.random.default_rng(0)
    nodes = world(lambda confidence: 0 * confidence + 0.85, generator)
    rule = decided(nodes.drawn(np.arange(500)), generator)
    assert rule.threshold is not None
    assert rule.p_value <= LEVEL / rule.tests == LEVEL / 20
    assert rule.system > max(rule.student, rule.teacher)
    assert rule.wins > rule.losses
    assert nodes.gain(rule) > 0.05
    assert rule.summary.startswith(f"auto defers where {rule.signal} is below {rule.threshold:.3f}")


def test_a_worse_teacher_is_never_asked_and_the_figures_are_told() -> None:
    generator = np.random.default_rng(0)
    nodes = world(lambda confidence: confidence - 0.2, generator)
    rule = decided(nodes.drawn(np.arange(500)), generator)
    assert rule.threshold is None
    assert rule.teacher < rule.student
    assert rule.summary.startswith("auto never defers: at best, where ")
    assert f"{rule.teacher:.3f}" in rule.summary
    assert rule.summary.endswith("p must be 0.0025 at most")


def test_agreement_with_the_neighbors_is_chosen_where_it_tells_more() -> None:
    generator = np.random.default_rng(1)
    lone = generator.random(600) < 0.4
    student = generator.random(600) < np.where(lone, 0.3, 0.95)
    right = generator.random(600) < 0.8
    signals = {
        CONFIDENCE: generator.random(600),
        AGREEMENT: np.where(lone, generator.uniform(0, 0.5, 600), 1.0),
    }
    rule = decide(signals, student, TeacherCheck(np.arange(600), right), wanted=1.0)
    assert rule.signal == AGREEMENT
    assert rule.system > 0.85


def test_deferring_stops_where_the_students_own_answers_are_as_right_as_wanted() -> None:
    generator = np.random.default_rng(2)
    confidence = np.sort(generator.random(1_000))
    student = np.arange(1_000) >= 300
    teacher = TeacherCheck(np.arange(1_000), np.ones(1_000, np.bool_))
    signals = {CONFIDENCE: confidence}
    modest = decide(signals, student, teacher, wanted=0.7)
    strict = decide(signals, student, teacher, wanted=0.98)
    assert modest.deferred == pytest.approx(0.1)
    assert modest.kept_accuracy > modest.kept_bound > 0.7
    assert strict.deferred == pytest.approx(0.3)
    assert strict.system == 1
    already = decide(signals, student, teacher, wanted=0.5)
    assert already.threshold is None
    assert "0.700 of 1,000 validation nodes, at least 0.5 for sure" in already.summary
    assert (already.student, already.teacher, already.nodes) == (0.7, 1.0, 1_000)
    untested = (already.wins, already.losses, already.p_value, already.passes)
    assert untested == (0, 0, 1.0, False)


def test_a_teacher_that_is_better_everywhere_answers_all() -> None:
    generator = np.random.default_rng(3)
    signals = {CONFIDENCE: generator.random(300)}
    student, right = generator.random(300) < 0.5, generator.random(300) < 0.97
    rule = decide(signals, student, TeacherCheck(np.arange(300), right), wanted=1.0)
    assert rule.threshold == NEVER
    assert rule.deferred == 1


def test_the_bounds_are_those_of_their_definition() -> None:
    assert lower_bound(90, 100, 0.05) == pytest.approx(beta.ppf(0.05, 90, 11))
    assert lower_bound(0, 100, 0.05) == 0
    assert sign_test(15, 20) == pytest.approx(binomtest(15, 20, 0.5, "greater").pvalue)
    assert sign_test(0, 0) == 1


def test_the_level_is_shared_with_the_hops_that_were_tried() -> None:
    generator = np.random.default_rng(4)
    signals = {CONFIDENCE: generator.random(300)}
    student, right = generator.random(300) < 0.5, generator.random(300) < 0.9
    rule = decide(signals, student, TeacherCheck(np.arange(300), right, hops=3), wanted=1.0)
    assert rule.tests == 30


def test_without_a_teachers_answers_nothing_is_deferred() -> None:
    logits = np.log(np.array([[0.9, 0.1], [0.2, 0.8]] * 5))
    labels = np.array([0, 0] * 5)
    found = calibrate(logits, labels, 0.95)
    assert (found.deferral.threshold, found.deferral.passes) == (None, False)
    assert "no teacher was measured" in found.deferral.summary
    nobody = TeacherCheck(np.empty(0, np.int64), np.empty(0, np.bool_))
    assert calibrate(logits, labels, 0.95, teacher=nobody).deferral == found.deferral
