"""The certainty of a teacher that answered about only a few validation nodes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from training.teacher.answers.folder import HopAnswers
from training.teacher.answers.views import make_targets
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph


@pytest.mark.parametrize(("validation", "warned"), [(4, True), (80, False)])
def test_a_few_right_answers_make_no_teacher_certain(
    validation: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=400, classes=3))
    graph = replace(graph, splits={**graph.splits, "val": graph.splits["val"][:validation]})
    shares = np.where(np.eye(3)[graph.labels] > 0, 0.6, 0.2)  # right about all nodes
    nodes = np.concatenate([graph.splits["train"], graph.splits["val"]])
    answers = HopAnswers(np.sort(nodes), np.log(shares[None, np.sort(nodes)]).astype(np.float32))
    targets = make_targets(graph, (0,), answers)
    surest = float(targets.log_probabilities[torch.from_numpy(np.sort(nodes))].max().exp())
    assert (f"answered about only {validation} validation nodes" in caplog.text) == warned
    if warned:  # all four right: (4 + 1) / (4 + 2) is what they can tell
        assert surest == pytest.approx(5 / 6, abs=0.01)
    else:
        assert surest > 0.99


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (1, "only 1 validation node, by which"),
        (3, "are chosen; ask about more nodes"),
        (5, "are chosen; label more nodes, or put more into validation"),
    ],
)
def test_what_a_user_can_do_about_few_answers_is_told(
    asked: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=400, classes=3))
    validation = graph.splits["val"][:5]
    graph = replace(graph, splits={**graph.splits, "val": validation})
    shares = np.where(np.eye(3)[graph.labels] > 0, 0.6, 0.2)
    nodes = np.sort(np.concatenate([graph.splits["train"], validation[:asked]]))
    make_targets(graph, (0,), HopAnswers(nodes, np.log(shares[None, nodes]).astype(np.float32)))
    assert words in caplog.text
