"""The targets of recipes that withhold a part of the teacher's knowledge."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from training.data import Targets
from training.recipe_names import HARD, RANDOM, SHUFFLED, SHUFFLED_BARE, UNSMOOTHED
from training.recipes import reads_train
from training.student_teacher import student_answers
from training.teacher.answers.folder import HopAnswers, TeacherInfo
from training.teacher.answers.smoothing import with_smoothed_view
from training.teacher.answers.views import SMOOTHED, make_targets
from understudy.graph import TextGraph
from understudy.graph.splits import labeled_nodes

SURE = 1e-6  # probability of the classes that a hard label excludes


def recipe_targets(
    recipe: str, graph: TextGraph, info: TeacherInfo, answers: HopAnswers, seed: int
) -> Targets:
    """The targets of a recipe that uses a language model; the full ones if it is no control.

    Raises:
        TeacherError: see `make_targets`.
    """
    if recipe in (UNSMOOTHED, SHUFFLED_BARE):
        answers = replace(answers, smoothed=None)
    if recipe in (RANDOM, SHUFFLED, SHUFFLED_BARE):
        answers = shuffled(graph, info, answers, seed)
    targets = make_targets(graph, info.hops, answers, view_of(recipe, answers))
    return labels_only(targets) if recipe == HARD else targets


def view_of(recipe: str, answers: HopAnswers) -> str | None:
    """The view that a recipe reads by name; None: the best on validation.

    If a transformer was tuned on training nodes, only the smoothed view has answers about them that
    it had not memorised.
    """
    by_heart = reads_train({recipe: 1.0}) and len(answers.tuned)
    return SMOOTHED if by_heart and answers.smoothed else None


def shuffled(graph: TextGraph, info: TeacherInfo, answers: HopAnswers, seed: int) -> HopAnswers:
    """The random teacher: every answer goes to another node (method.md, section 6, control a).

    Training nodes are permuted among themselves, and so are the others, so that each group keeps
    the distribution of its answers, with their norms and confidences. Shuffled answers are smoothed
    again, which keeps what edges and training labels contribute without a teacher.
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


def propagated_targets(graph: TextGraph) -> Targets:
    """Targets without a model: a uniform teacher smoothed, so training labels spread over edges."""
    nodes = np.arange(graph.num_nodes, dtype=np.int64)
    alike = np.full((1, graph.num_nodes, graph.num_classes), -np.log(graph.num_classes))
    answers = HopAnswers(nodes, alike.astype(np.float32))
    return make_targets(graph, (0,), with_smoothed_view(graph, (0,), answers))


def student_targets(graph: TextGraph, logits: Tensor, smooth: bool = True) -> Targets:
    """The targets from the answers of a student without a teacher about all nodes, processed like a
    teacher's: smoothed, if requested and better on validation. Training nodes count as tuned.

    Shapes:
        logits: float32 [N, C]
    """
    answers = student_answers(graph, logits)
    return make_targets(
        graph, (0,), with_smoothed_view(graph, (0,), answers) if smooth else answers
    )


def labels_only(targets: Targets) -> Targets:
    """The teacher's labels without its probabilities and features (control b)."""
    classes = targets.classes
    hard = torch.full_like(targets.log_probabilities, SURE)
    hard.scatter_(1, targets.log_probabilities.argmax(1, keepdim=True), 1 - SURE * (classes - 1))
    return replace(targets, log_probabilities=hard.log(), features=None)
