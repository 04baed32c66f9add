"""How an untuned model compares labels, and how the method is chosen."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.language_models import write_tiny_llama
from training.teacher.causal import CausalOptions, CausalTeacher, load_causal_teacher
from training.teacher.causal.choice import with_chosen_scores, with_scores
from training.teacher.causal.scores import AUTO, MEAN, PRIOR, SUM, compared
from training.teacher.tuning import Examples, TuningOptions, tuning_nodes
from understudy.graph.prompts import PromptOptions, graph_prompter
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

LIKELIHOODS = torch.tensor([[-4.0, -6.0, -9.0]])
LENGTHS = torch.tensor([1, 2, 6])
GRAPH = synthetic_graph(SyntheticOptions(nodes=40, classes=3, seed=1))


def test_labels_compare_by_sum_mean_or_what_a_question_adds() -> None:
    prior = torch.tensor([[-1.0, -5.5, -7.0]])
    expected = {SUM: [-4, -6, -9], MEAN: [-4, -3, -1.5], PRIOR: [-3, -0.5, -2]}
    for scores, values in expected.items():
        found = compared(LIKELIHOODS, LENGTHS, prior, scores)
        assert found[0].tolist() == pytest.approx(
            torch.tensor(values).float().log_softmax(0).tolist()
        )


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> CausalTeacher:
    folder = write_tiny_llama(tmp_path_factory.mktemp("models") / "llama", list(GRAPH.label_names))
    return load_causal_teacher(
        str(folder), GRAPH.label_names, CausalOptions(precision="float32"), tuned=False
    )


def examples(labels: NDArray[np.int64]) -> Examples:
    nodes = np.arange(GRAPH.num_nodes)
    prompter = graph_prompter(GRAPH, PromptOptions(tokens=40, nested=True))
    return Examples(prompter, (0, 1), labels, nodes, nodes)


@pytest.mark.parametrize("scores", [SUM, MEAN, PRIOR])
def test_the_way_that_is_right_on_validation_is_taken(teacher: CausalTeacher, scores: str) -> None:
    untuned = TuningOptions(epochs=0)
    asked = examples(GRAPH.labels)
    _, nodes = tuning_nodes(asked, untuned)
    prompts = [asked.prompter.stored(node, place % 2) for place, node in enumerate(nodes.tolist())]
    said = with_scores(teacher, scores).answer(prompts).log_probabilities.argmax(1)
    labels = np.empty_like(GRAPH.labels)
    labels[nodes] = said
    assert teacher.options.scores == AUTO
    chosen = with_chosen_scores(teacher, examples(labels), untuned)
    others = [with_scores(teacher, other) for other in (SUM, MEAN, PRIOR)]
    found = {
        other.options.scores: (other.answer(prompts).log_probabilities.argmax(1) == said).sum()
        for other in others
    }
    assert found[chosen.options.scores] == len(nodes)
    assert len(set(found.values())) > 1  # they do differ


def test_tuned_labels_compare_by_what_they_were_tuned_for(teacher: CausalTeacher) -> None:
    chosen = with_chosen_scores(teacher, examples(GRAPH.labels), TuningOptions(epochs=1))
    assert chosen.options.scores == SUM
    with_mean = with_scores(teacher, MEAN)
    assert (
        with_chosen_scores(with_mean, examples(GRAPH.labels), TuningOptions(epochs=0)) is with_mean
    )
    assert replace(with_mean.options, scores=AUTO) == teacher.options
