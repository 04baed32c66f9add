"""The named recipes of an evaluation, and the candidates that `distill` compares.

A recipe is the weights of a loss's terms and the part of a teacher's answers that they read.
Candidates are compared on the validation split.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from training.config import LABELS, StudentConfig, with_labels
from training.data import Targets
from training.losses.objectives import MAKERS, check_objectives
from training.recipe_names import COMBINED, HARD, UNLABELED_CONTROLS, VANILLA, recipe_names
from training.student.checkpoint import TeacherSource
from training.teacher.answers.folder import HopAnswers, TeacherInfo, read_teacher
from training.teacher.answers.views import SMOOTHED, make_targets
from understudy.graph import TextGraph
from understudy.graph.splits import labeled_nodes

COMBINATION = {LABELS: 1.0, "unlabeled": 1.0, "lingugkd": 0.1}  # weights
RECIPES = recipe_names(MAKERS)
TITLES = {  # of candidates, by name
    "alone": "without the teacher",
    "features": "from its features alone",
    "taught": "with the teacher",
    "unsmoothed": "the same, unsmoothed",
}


def recipe_weights(recipe: str, strength: float = 1.0) -> Mapping[str, float]:
    """The weights of a recipe's terms; a control has those of the recipe that it controls.

    For `labels-only`, which has no features, only the soft-label term remains.
    """
    if recipe == VANILLA:
        return {LABELS: 1.0}
    recipe = "unlabeled" if recipe in UNLABELED_CONTROLS else recipe
    if recipe in MAKERS:
        return {LABELS: 1.0, recipe: COMBINATION.get(recipe, 1.0) * strength}
    combination = {name: weight for name, weight in COMBINATION.items() if name != LABELS}
    if recipe == HARD:
        del combination["lingugkd"]
    return {LABELS: 1.0, **{name: weight * strength for name, weight in combination.items()}}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to train a student: weights of objectives, and the targets they read."""

    name: str  # a key of TITLES; part of val_accuracy_NAME in metrics.json if several are compared
    weights: Mapping[str, float]
    targets: Targets | None = None
    teacher: TeacherSource | None = None


def candidates(
    graph: TextGraph,
    teacher: Path | None,
    view: str | None,
    weights: Mapping[str, float],
    compare: bool,
    student: StudentConfig,
) -> list[Candidate]:
    """The requested candidate; with `compare` also its competitors, simpler ones first.

    The competitors are: no teacher; the teacher's features alone, if it has some and no weights are
    given; and the requested one without smoothing, unless smoothed answers were requested by name
    or no other answers cover the nodes that are read.

    Args:
        weights: of objectives by name, in addition to the labels unless these have a weight too;
            empty: `default_weights`
        compare: requires a teacher
        student: its shape

    Raises:
        TrainingError: see `check_objectives`.
        TeacherError, StaleTeacherError: see `read_teacher` and `make_targets`.
    """
    weights = with_labels(weights) if weights else {}
    train = torch.from_numpy(labeled_nodes(graph, "train"))
    alone = Candidate("alone", recipe_weights(VANILLA))
    if teacher is None:
        check_objectives(weights or alone.weights, None, train, student)
        return [replace(alone, weights=weights or alone.weights)]
    info, answers = read_teacher(teacher, graph)

    def targets_of(answers: HopAnswers) -> Targets:
        return make_targets(graph, info.hops, answers, view)

    def candidate(name: str, targets: Targets, weights: Mapping[str, float]) -> Candidate:
        weights = weights or default_weights(targets)
        check_objectives(weights, targets, train, student)
        source = describe(teacher, info, targets, named=view is not None)
        return Candidate(name, weights, targets, source)

    targets = targets_of(answers)
    requested = candidate("taught", targets, weights)
    if not compare:
        return [requested]
    candidates = [alone]
    if answers.features is not None and not weights:
        candidates.append(candidate("features", targets, recipe_weights("lingugkd")))
    candidates.append(requested)
    by_heart = reads_train(requested.weights) and len(answers.tuned)  # unsmoothed: no answers
    if targets.view == SMOOTHED != view and not by_heart:
        candidates.append(
            candidate("unsmoothed", targets_of(replace(answers, smoothed=None)), weights)
        )
    return candidates


def reads_train(weights: Mapping[str, float]) -> bool:
    """Whether an objective reads the teacher's answers about training nodes alone."""
    return any(w and name in MAKERS and MAKERS[name].reads_train for name, w in weights.items())


def default_weights(targets: Targets) -> Mapping[str, float]:
    """A teacher's soft labels, and its features if it has some, in addition to the labels."""
    return recipe_weights("unlabeled" if targets.features is None else COMBINED)


def describe(folder: Path, info: TeacherInfo, targets: Targets, named: bool) -> TeacherSource:
    fingerprint = str(info.settings.get("fingerprint", ""))
    place = str(folder.resolve())
    return TeacherSource(place, info.kind, info.model, fingerprint, targets.view, named)
