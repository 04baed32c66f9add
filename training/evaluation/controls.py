"""What a student learns from where a recipe takes some of the teacher's knowledge away."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from training.data import Targets
from training.recipes import HARD, PROPAGATED, RANDOM, SHUFFLED, UNSMOOTHED, reads_train
from training.student_teacher import student_answers
from training.teacher.answers.folder import HopAnswers, TeacherInfo
from training.teacher.answers.smoothing import with_smoothed_view
from training.teacher.answers.views import SMOOTHED, make_targets
from understudy.graph import TextGraph
from understudy.graph.splits import labeled_nodes

SURE = 1e-6  # probability of a class that a hard label denies


def recipe_targets(
    recipe: str, graph: TextGraph, info: TeacherInfo, answers: HopAnswers, seed: int
) -> Targets:
    """The targets of a recipe; all of the teacher's knowledge, where it is no control.

    Raises:
        TeacherError: see `make_targets`.
    """
    if recipe in (RANDOM, SHUFFLED):
        answers = shuffled(graph, info, answers, seed)
    elif recipe == UNSMOOTHED:
        answers = replace(answers, smoothed=None)
    elif recipe == PROPAGATED:
        answers = ignorant(graph, info, answers)
    targets = make_targets(graph, info.hops, answers, view_of(recipe, answers))
    return labels_only(targets) if recipe == HARD else targets


def view_of(recipe: str, answers: HopAnswers) -> str | None:
    """The view that a recipe reads by name; None: the best on validation.

    Where a transformer was tuned on training nodes, only the smoothed view says something about
    them that it did not have by heart.
    """
    by_heart = reads_train({recipe: 1.0}) and len(answers.tuned)
    return SMOOTHED if by_heart and answers.smoothed else None


def shuffled(graph: TextGraph, info: TeacherInfo, answers: HopAnswers, seed: int) -> HopAnswers:
    """The random teacher: every answer goes to another node (method.md, section 6, control a).

    Training nodes swap among themselves, and so do the others, so that each group keeps its own
    answers' distribution, and their norms and confidences with it. Shuffled answers are smoothed
    anew: what edges and training labels tell without a teacher stays.
    """
    generator = np.random.default_rng(seed)
    order = np.arange(len(answers.nodes))
    in_train = np.isin(answers.nodes, labeled_nodes(graph, "train"))
    for group in (in_train, ~in_train):
        order[group] = generator.permutation(order[group])
    other = HopAnswers(
        answers.nodes,
        answers.log_probabilities[:, order],
        features=None if answers.features is None else answers.features[:, order],
        joint=None if answers.joint is None else answers.joint[order],
        tuned=answers.tuned,
    )
    return other if answers.smoothed is None else with_smoothed_view(graph, info.hops, other)


def ignorant(graph: TextGraph, info: TeacherInfo, answers: HopAnswers) -> HopAnswers:
    """A teacher that answers every class alike, smoothed: training labels propagated over the
    edges, and no language model.
    """
    alike = np.full_like(answers.log_probabilities, -np.log(graph.num_classes))
    return with_smoothed_view(graph, info.hops, HopAnswers(answers.nodes, alike))


def own_targets(graph: TextGraph, logits: Tensor) -> Targets:
    """What a student that was trained without a teacher says of all nodes, read as a teacher's
    answers are: smoothed, where that is better on validation. It was trained on training nodes as
    a transformer is tuned on them.

    Shapes:
        logits: float32 [N, C]
    """
    answers = student_answers(graph, logits)
    return make_targets(graph, (0,), with_smoothed_view(graph, (0,), answers))


def labels_only(targets: Targets) -> Targets:
    """The teacher's labels without its probabilities and features (control b)."""
    classes = targets.classes
    hard = torch.full_like(targets.log_probabilities, SURE)
    hard.scatter_(1, targets.log_probabilities.argmax(1, keepdim=True), 1 - SURE * (classes - 1))
    return replace(targets, log_probabilities=hard.log(), features=None)
