"""Steps of tuning: in parts, and in half precision without losing small updates."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.language_models import write_tiny_llama
from training.teacher.causal import CausalOptions, load_causal_teacher
from training.teacher.tuning import Examples, TuningOptions, TuningRun
from understudy.graph.prompts import PromptOptions, graph_prompter
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

GRAPH = synthetic_graph(SyntheticOptions(nodes=24, classes=3, seed=1))
OPTIONS = TuningOptions(batch_size=6, learning_rate=1e-3, epochs=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "llama"
    return str(write_tiny_llama(folder, list(GRAPH.label_names)))


def run(model: str, path: Path, options: TuningOptions, precision: str) -> TuningRun:
    causal = CausalOptions(rank=2, noise=0, dropout=0, precision=precision)
    teacher = load_causal_teacher(model, GRAPH.label_names, causal, tuned=True)
    prompter = graph_prompter(GRAPH, PromptOptions(tokens=40, nested=True))
    nodes = np.arange(GRAPH.num_nodes)
    examples = Examples(prompter, (0, 1), GRAPH.labels, nodes, nodes[:4])
    return TuningRun(teacher, examples, options, path, 2_048)


def test_a_step_in_parts_has_the_gradient_of_the_whole(model: str, tmp_path: Path) -> None:
    gradients = []
    for accumulate in (1, 3):
        tuning = run(model, tmp_path / "t", replace(OPTIONS, accumulate=accumulate), "float32")
        prompts, labels = tuning.epoch_batches()[0]
        labels[:] = 1  # responses of one length, of which a mean of means is the mean
        tuning.teacher.module.train()
        loss = tuning.backward(prompts, labels)
        grads = [w.grad.flatten() for w in tuning.weights.values() if w.grad is not None]
        gradients.append((loss, torch.cat(grads)))
    assert gradients[0][0] == pytest.approx(gradients[1][0], abs=1e-5)
    torch.testing.assert_close(gradients[0][1], gradients[1][1], atol=1e-5, rtol=1e-3)


def test_small_steps_are_not_lost_in_half_precision(
    model: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small = replace(OPTIONS, learning_rate=2e-5, warmup=0)
    tuning = run(model, tmp_path / "t", small, "bfloat16")
    before = {name: weight.detach().clone() for name, weight in tuning.masters.items()}
    for batch in tuning.epoch_batches():
        tuning.step(*batch, total=1_000)
    moved = [name for name, weight in tuning.masters.items() if not weight.equal(before[name])]
    assert len(moved) == len(before)
    for name, weight in tuning.weights.items():
        assert weight.dtype == torch.bfloat16
        torch.testing.assert_close(weight, tuning.masters[name].to(torch.bfloat16))
    tuning.save()
    resumed = run(model, tmp_path / "t", small, "bfloat16")
    resumed.restore()
    for name, weight in tuning.masters.items():
        assert resumed.masters[name].equal(weight)
        assert resumed.weights[name].equal(tuning.weights[name])
    (tmp_path / "t").write_bytes((tmp_path / "t").read_bytes()[:-10])  # its power was lost
    with caplog.at_level("WARNING"):
        torn = run(model, tmp_path / "t", small, "bfloat16")
        torn.restore()
    assert "tuning starts over" in caplog.text
    assert torn.progress.step == 0
