"""What a student can learn from; the validation split decides where several are compared."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from training.config import LABELS
from training.errors import TrainingError
from training.student.checkpoint import TeacherSource
from training.teacher.answers.folder import HopAnswers, TeacherInfo, read_teacher
from training.teacher.answers.targets import Targets, make_targets
from training.teacher.answers.views import SMOOTHED
from understudy.graph import TextGraph

ANSWERS = {LABELS: 1.0, "unlabeled": 1.0}  # weights, where a teacher's soft labels are read
FEATURES = {LABELS: 1.0, "lingugkd": 0.1}  # and where its features are
TITLES = {  # of candidates, by name
    "alone": "without the teacher",
    "features": "from its features alone",
    "taught": "as asked for",
    "unsmoothed": "the same, unsmoothed",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to train a student: weights of objectives, and what they read."""

    name: str  # of TITLES; in metrics.json, as val_accuracy_NAME, where several are compared
    weights: Mapping[str, float]
    targets: Targets | None = None
    teacher: TeacherSource | None = None


def candidates(
    graph: TextGraph,
    teacher: Path | None,
    view: str | None,
    weights: Mapping[str, float],
    compare: bool,
) -> list[Candidate]:
    """The one that is asked for; or with `compare` those that it competes with, simpler ones first.

    Those are: no teacher; its features alone, where it shows some and no weights are given; what is
    asked for; and the same without smoothing, where the smoothed answers were not asked for by
    name.

    Args:
        weights: of objectives by name; empty: `default_weights`

    Raises:
        TrainingError: there is no teacher to compare with.
        TeacherError, StaleTeacherError: see `read_teacher` and `make_targets`.
    """
    alone = Candidate("alone", {LABELS: 1.0})
    if teacher is None:
        if compare:
            raise TrainingError("--compare needs a teacher; name its folder with --teacher")
        return [replace(alone, weights=weights or alone.weights)]
    info, answers = read_teacher(teacher, graph)

    def taught(name: str, answers: HopAnswers, weights: Mapping[str, float]) -> Candidate:
        targets = make_targets(graph, info.hops, answers, view)
        weights = weights or default_weights(targets)
        return Candidate(name, weights, targets, describe(teacher, info, targets))

    asked = taught("taught", answers, weights)
    if not compare:
        return [asked]
    found = [alone]
    if answers.features is not None and not weights:
        found.append(taught("features", answers, FEATURES))
    found.append(asked)
    if asked.targets is not None and asked.targets.view == SMOOTHED != view:
        found.append(taught("unsmoothed", replace(answers, smoothed=None), weights))
    return found


def default_weights(targets: Targets) -> Mapping[str, float]:
    """A teacher's soft labels, and its features where shown, beside the labels."""
    return ANSWERS if targets.features is None else ANSWERS | FEATURES


def describe(folder: Path, info: TeacherInfo, targets: Targets) -> TeacherSource:
    fingerprint = str(info.settings.get("fingerprint", ""))
    return TeacherSource(str(folder.resolve()), info.kind, info.model, fingerprint, targets.view)
