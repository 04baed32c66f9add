"""What the controls of an evaluation remove from a teacher, and what they keep."""

from dataclasses import replace

import numpy as np
import torch

from tests.unit.training.samples import noisy_answers, small_answers, small_graph
from training.evaluation.controls import (
    propagated_targets,
    recipe_targets,
    shuffled,
    student_targets,
)
from training.recipe_names import (
    COMBINED,
    HARD,
    PROPAGATED,
    RANDOM,
    SHUFFLED,
    SHUFFLED_BARE,
    UNSMOOTHED,
)
from training.recipes import recipe_weights
from training.teacher.answers.folder import HopAnswers, TeacherInfo
from training.teacher.answers.smoothing import with_smoothed_view
from understudy.graph.splits import labeled_nodes
from understudy.graph.text_graph import TextGraph

HOPS = (0, 1, 2)


def described(graph: TextGraph) -> TeacherInfo:
    names = graph.name, graph.label_names
    return TeacherInfo("encoder", "encoder", "", "", graph.content_hash, *names, HOPS)


def smoothed_answers(graph: TextGraph) -> HopAnswers:
    return with_smoothed_view(graph, HOPS, small_answers(graph))


def test_the_random_teacher_keeps_each_groups_answers_and_knows_nothing_of_the_nodes() -> None:
    graph = small_graph()
    answers = smoothed_answers(graph)
    other = shuffled(graph, described(graph), answers, seed=3)
    train = labeled_nodes(graph, "train")
    assert answers.features is not None
    assert other.features is not None
    assert not np.array_equal(other.features, answers.features)
    before, after = (np.sort(f[0, train], axis=0) for f in (answers.features, other.features))
    np.testing.assert_array_equal(
        before, after
    )  # within the training nodes, only the order changed
    rest = np.setdiff1d(answers.nodes, train)
    right = [
        float((values[0, rest].argmax(axis=1) == graph.labels[rest]).mean())
        for values in (answers.log_probabilities, other.log_probabilities)
    ]
    assert right[0] > 0.7 > 0.55 > right[1]


def test_the_random_teachers_answers_are_smoothed_anew() -> None:
    graph = small_graph()
    answers = smoothed_answers(graph)
    other = shuffled(graph, described(graph), answers, seed=3)
    bare = replace(other, smoothed=None)
    again = with_smoothed_view(graph, HOPS, bare).smoothed
    assert again is not None
    assert other.smoothed is not None
    np.testing.assert_array_equal(other.smoothed.log_probabilities, again.log_probabilities)
    unsmoothed = shuffled(graph, described(graph), replace(answers, smoothed=None), seed=3)
    assert unsmoothed.smoothed is None


def test_hard_labels_are_the_teachers_and_nothing_else_of_it() -> None:
    graph = small_graph()
    answers, info = smoothed_answers(graph), described(graph)
    whole = recipe_targets(COMBINED, graph, info, answers, seed=0)
    hard = recipe_targets(HARD, graph, info, answers, seed=0)
    assert hard.features is None
    assert torch.equal(hard.log_probabilities.argmax(1), whole.log_probabilities.argmax(1))
    torch.testing.assert_close(hard.log_probabilities.exp().sum(1), torch.ones(graph.num_nodes))


def test_recipes_choose_their_targets() -> None:
    graph = small_graph()
    answers = with_smoothed_view(graph, HOPS, noisy_answers(graph))
    info = described(graph)
    views = {
        recipe: recipe_targets(recipe, graph, info, answers, seed=0).view
        for recipe in ("unlabeled", UNSMOOTHED)
    }
    assert views["unlabeled"] == "smoothed"
    assert views[UNSMOOTHED] != "smoothed"
    assert recipe_weights(UNSMOOTHED) == recipe_weights("unlabeled")
    random = recipe_targets(RANDOM, graph, info, answers, seed=0)
    rest = np.setdiff1d(answers.nodes, labeled_nodes(graph, "train"))
    labels = torch.from_numpy(graph.labels[rest])
    guessed = random.log_probabilities[torch.from_numpy(rest)].argmax(1)
    assert float((guessed == labels).float().mean()) < 0.8


def test_propagated_labels_hold_nothing_but_the_training_labels() -> None:
    graph = small_graph()
    good = propagated_targets(graph)
    assert good.features is None
    assert good.view == "smoothed"
    assert recipe_weights(PROPAGATED) == recipe_weights("unlabeled")
    test = torch.from_numpy(labeled_nodes(graph, "test"))
    right = good.log_probabilities[test].argmax(1) == torch.from_numpy(graph.labels)[test]
    assert float(right.float().mean()) > 1.5 / graph.num_classes  # what the edges tell


def test_a_student_is_its_own_teacher() -> None:
    graph = small_graph()
    logits = torch.from_numpy(noisy_answers(graph).log_probabilities[1])
    targets = student_targets(graph, logits)
    assert targets.view == "smoothed"
    assert targets.features is None
    alone = np.flatnonzero(graph.adjacency.degrees == 0)  # what it says of itself it has by heart
    silent = np.intersect1d(labeled_nodes(graph, "train"), alone)
    np.testing.assert_array_equal(np.flatnonzero(~targets.known.numpy()), silent)
    test = torch.from_numpy(labeled_nodes(graph, "test"))
    labels = torch.from_numpy(graph.labels)[test]
    bare, read = (
        float((values[test].argmax(1) == labels).float().mean())
        for values in (logits, targets.log_probabilities)
    )
    assert read > bare
    plain = student_targets(graph, logits, smooth=False)
    assert plain.view == "hop0"
    assert not plain.known[torch.from_numpy(labeled_nodes(graph, "train"))].any()
    assert torch.equal(plain.log_probabilities[test].argmax(1), logits[test].argmax(1))


def test_shuffled_answers_are_the_random_teachers_for_soft_labels_alone() -> None:
    graph = small_graph()
    taught = graph, described(graph), smoothed_answers(graph)
    random, shuffled_answers, real = (
        recipe_targets(recipe, *taught, seed=3) for recipe in (RANDOM, SHUFFLED, "unlabeled")
    )
    assert torch.equal(random.log_probabilities, shuffled_answers.log_probabilities)
    assert not torch.equal(real.log_probabilities, shuffled_answers.log_probabilities)
    assert recipe_weights(SHUFFLED) == recipe_weights("unlabeled")
    assert recipe_weights(SHUFFLED) != recipe_weights(RANDOM)
    bare = recipe_targets(SHUFFLED_BARE, *taught, seed=3)
    assert bare.view != "smoothed"
