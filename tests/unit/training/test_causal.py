"""The causal teacher against what one would compute without any sharing or caching."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from graph.prompts import Prompt
from tests.language_models import write_tiny_llama
from training.errors import TeacherError
from training.teachers.causal import CausalOptions, CausalTeacher, load_causal_teacher
from training.teachers.causal.label_tree import ROOT, label_tree
from training.teachers.causal.teacher import IGNORED, add_noise

LABELS = ("sound", "sound and light", "soup", "kites")
PROMPTS = [
    Prompt("Sort the items.", "Kites climb when the wind is steady"),
    Prompt("Sort the items.", "A pot of lentils simmers on the stove beside the bread, all day"),
    Prompt("Sort the items.", "Doors"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("models") / "llama", list(LABELS))


@pytest.fixture(scope="module")
def teacher(folder: Path) -> CausalTeacher:
    return load_causal_teacher(str(folder), LABELS, CausalOptions(rank=4, noise=0), tuned=True)


def test_a_tree_shares_what_labels_start_with() -> None:
    tree = label_tree([[5, 6], [5, 7, 8], [5]], end=1)
    assert tree.tokens.tolist() == [5, 6, 7, 8]
    assert tree.depths.tolist() == [0, 1, 1, 2]
    assert tree.ancestors[3].tolist() == [True, False, True, True]
    assert tree.paths[1] == ((ROOT, 5), (0, 7), (2, 8), (3, 1))


@torch.inference_mode()
def naive_scores(teacher: CausalTeacher, prompt: Prompt) -> list[float]:
    """One full pass a label, no cache: the sum of its tokens' log-probabilities, end included."""
    ids = teacher.tokenize([prompt])[0]
    scores = []
    for label in teacher.labels:
        response = [*label, int(teacher.tokenizer.eos_token_id)]
        logits = teacher.module(torch.tensor([[*ids, *response]])).logits[0].log_softmax(-1)
        picked = [logits[len(ids) - 1 + i, token] for i, token in enumerate(response)]
        scores.append(float(sum(picked)))
    return scores


def test_likelihoods_equal_those_of_one_pass_a_label(teacher: CausalTeacher) -> None:
    answers = teacher.answer(PROMPTS)
    for row, prompt in enumerate(PROMPTS):
        expected = torch.tensor(naive_scores(teacher, prompt)).log_softmax(0).numpy()
        np.testing.assert_allclose(answers.log_probabilities[row], expected, atol=1e-4)


def test_features_are_the_last_prompt_tokens_hidden_state(teacher: CausalTeacher) -> None:
    answers = teacher.answer(PROMPTS)
    assert answers.features is not None
    for row, prompt in enumerate(PROMPTS):
        ids = torch.tensor(teacher.tokenize([prompt]))
        with torch.inference_mode():
            hidden = teacher.module(ids, output_hidden_states=True).hidden_states[-1]
        np.testing.assert_allclose(answers.features[row], hidden[0, -1].numpy(), atol=1e-4)


def test_the_loss_counts_the_responses_alone(teacher: CausalTeacher) -> None:
    labels = torch.tensor([3, 1, 0])
    teacher.module.eval()
    total, tokens = 0.0, 0
    for prompt, label in zip(PROMPTS, labels.tolist(), strict=True):
        ids = teacher.tokenize([prompt])[0]
        response = [*teacher.labels[label], int(teacher.tokenizer.eos_token_id)]
        targets = torch.tensor([[IGNORED] * len(ids) + response])
        output = teacher.module(torch.tensor([[*ids, *response]]), labels=targets)
        total += float(output.loss.detach()) * len(response)
        tokens += len(response)
    loss = float(teacher.loss(PROMPTS, labels).detach())
    assert loss == pytest.approx(total / tokens, abs=1e-4)


def test_only_adapters_are_tuned_and_every_linear_layer_has_one(teacher: CausalTeacher) -> None:
    tuned = [name for name, w in teacher.module.named_parameters() if w.requires_grad]
    assert tuned
    assert all("lora_" in name for name in tuned)
    for part in ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"):
        assert any(part in name for name in tuned), part


def test_a_long_description_is_cut_and_the_question_kept(teacher: CausalTeacher) -> None:
    short = replace(teacher, options=replace(teacher.options, max_tokens=150))
    ids = short.tokenize([Prompt("Sort.", "many words " * 500)])[0]
    assert len(ids) == 150
    assert short.tokenizer.decode(ids).endswith("### Response:\n")


def test_noise_is_bounded_and_only_in_training() -> None:
    embedding = torch.nn.Embedding(9, 16)
    embedding.register_forward_hook(add_noise(5.0))
    ids = torch.arange(9)[None]
    clean = embedding.eval()(ids)
    noisy = embedding.train()(ids)
    gap = (noisy - clean).detach().abs().max()
    assert 0 < float(gap) <= 5.0 / np.sqrt(9 * 16)


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/model", "nothing-here"])
def test_a_path_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(TeacherError, match="there is no folder"):
        load_causal_teacher(name, LABELS, CausalOptions(), tuned=False)


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"no config\.json"):
        load_causal_teacher(str(tmp_path), LABELS, CausalOptions(), tuned=False)


def test_four_bit_weights_need_a_device(folder: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a device")
    with pytest.raises(TeacherError, match="four-bit"):
        load_causal_teacher(str(folder), LABELS, CausalOptions(four_bit=True), tuned=True)
