"""The causal teacher, against computation without any sharing or caching."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import normalizers
from transformers import (
    AutoTokenizer,
    Gemma3TextConfig,
    GPT2Config,
    MambaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
)

from tests.language_models import write_tiny_causal, write_tiny_llama
from training.errors import TeacherError
from training.teacher.causal import CausalOptions, CausalTeacher, load_causal_teacher
from training.teacher.causal.adapters import add_noise
from training.teacher.causal.label_tree import ROOT, label_tree
from training.teacher.causal.plain import plain_likelihoods
from training.teacher.causal.weights import weights_digest
from understudy.graph.prompts import Prompt

LABELS = ("sound", "sound and light", "soup", "kites")
PROMPTS = [
    Prompt("Sort the items.", "Kites climb when the wind is steady"),
    Prompt("Sort the items.", "A pot of lentils simmers on the stove beside the bread, all day"),
    Prompt("Sort the items.", "Doors"),
]
LINES = [f"- the orchestra tunes string {number} beside the bread" for number in range(12)]
NESTED = [Prompt("Sort the items.", "\n".join(LINES[:end])) for end in (1, 5, 12)]
EXACT = CausalOptions(rank=4, noise=0, precision="float32")
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}


def family(name: str, vocabulary: int) -> PreTrainedConfig:
    """Two layers of a kind; windows are shorter than a prompt."""
    layers = ["sliding_attention", "full_attention"]
    if name == "qwen2":
        return Qwen2Config(vocab_size=vocabulary, **SIZES)
    if name == "mistral":
        return MistralConfig(vocab_size=vocabulary, sliding_window=64, **SIZES)
    if name == "gemma3":
        return Gemma3TextConfig(
            vocab_size=vocabulary, head_dim=16, sliding_window=48, layer_types=layers, **SIZES
        )
    if name == "gpt2":
        return GPT2Config(
            vocab_size=vocabulary, n_embd=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=1
        )
    return MambaConfig(
        vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, bos_token_id=0, eos_token_id=1,
        pad_token_id=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("models") / "llama", list(LABELS))


@pytest.fixture(scope="module")
def teacher(folder: Path) -> CausalTeacher:
    return load_causal_teacher(str(folder), LABELS, EXACT, tuned=True)


def load_family(name: str, folder: Path, path: Path) -> CausalTeacher:
    vocabulary = len(AutoTokenizer.from_pretrained(folder))
    write_tiny_causal(path, folder, family(name, vocabulary))
    return load_causal_teacher(str(path), LABELS, EXACT, tuned=False)


def plainly(teacher: CausalTeacher, prompts: list[Prompt]) -> tuple[torch.Tensor, torch.Tensor]:
    return plain_likelihoods(teacher.module, teacher.wholes(prompts), teacher.tree.responses)


def test_a_tree_shares_what_labels_start_with() -> None:
    tree = label_tree([[5, 6], [5, 7, 8], [5]], end=1)
    assert tree.tokens.tolist() == [5, 7]  # what nothing follows is not fed
    assert tree.depths.tolist() == [0, 1]
    assert tree.ancestors.tolist() == [[True, False], [True, True]]
    assert tree.paths == (((ROOT, 5), (0, 6)), ((ROOT, 5), (0, 7), (1, 8)), ((ROOT, 5), (0, 1)))
    assert tree.responses == ((5, 6), (5, 7, 8), (5, 1))
    assert label_tree([[5], [6]], end=1).tokens.tolist() == []


@torch.inference_mode()
def naive_scores(teacher: CausalTeacher, prompt: Prompt) -> list[float]:
    """One full pass a label, no cache: the sum of its tokens' log-probabilities."""
    ids = teacher.wholes([prompt])[0]
    scores = []
    for response in teacher.tree.responses:
        logits = teacher.module(torch.tensor([[*ids, *response]])).logits[0].log_softmax(-1)
        picked = [logits[len(ids) - 1 + i, token] for i, token in enumerate(response)]
        scores.append(float(sum(picked)))
    return scores


def test_likelihoods_equal_those_of_one_pass_a_label(teacher: CausalTeacher) -> None:
    answers = teacher.answer(PROMPTS)
    plain, _ = plainly(teacher, PROMPTS)
    for row, prompt in enumerate(PROMPTS):
        expected = torch.tensor(naive_scores(teacher, prompt))
        np.testing.assert_allclose(plain[row].numpy(), expected.numpy(), atol=1e-4)
        expected = expected.log_softmax(0)
        np.testing.assert_allclose(answers.log_probabilities[row], expected.numpy(), atol=1e-4)


@pytest.mark.parametrize("name", ["qwen2", "mistral", "gemma3", "gpt2"])
def test_prompts_that_nest_are_read_once_and_answered_as_if_alone(
    folder: Path, tmp_path: Path, name: str
) -> None:
    teacher = load_family(name, folder, tmp_path / name)
    assert teacher.shares
    shuffled = [NESTED[1], PROMPTS[0], NESTED[2], NESTED[0], NESTED[1]]
    expected, states = plainly(teacher, shuffled)
    found, features = teacher.likelihoods(shuffled)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-3)
    np.testing.assert_allclose(features.numpy(), states.numpy(), atol=1e-3)
    assert float((expected[0] - expected[2]).abs().max()) > 0.1  # the rings do tell


def test_a_model_that_cannot_share_takes_a_pass_a_label(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    teacher = load_family("mamba", folder, tmp_path / "mamba")
    assert not teacher.shares
    assert "each of 4 labels takes a pass of its own" in caplog.text
    answers = teacher.answer(NESTED)
    for row, prompt in enumerate(NESTED):
        expected = torch.tensor(naive_scores(teacher, prompt)).log_softmax(0)
        np.testing.assert_allclose(answers.log_probabilities[row], expected.numpy(), atol=1e-3)


def test_tokens_that_prompts_share_are_fed_once(teacher: CausalTeacher) -> None:
    fed: list[int] = []
    layer: Any = teacher.module.get_input_embeddings()  # type: ignore[operator]
    handle = layer.register_forward_pre_hook(lambda _, inputs: fed.append(inputs[0].numel()))
    teacher.heads.key = ()
    teacher.likelihoods(NESTED)
    handle.remove()
    row = teacher.rows(NESTED)[2]
    assert sum(fed) == len(row.head) + len(row.body) + 3 * len(teacher.branch.tokens)


def test_each_prompt_keeps_its_own_instruction(teacher: CausalTeacher) -> None:
    other = Prompt("Name the sound that each of these makes, in one word.", "Doors")
    both = teacher.answer([other, PROMPTS[2]]).log_probabilities
    assert both[1] == pytest.approx(teacher.answer([PROMPTS[2]]).log_probabilities[0], abs=1e-5)
    assert both[0] == pytest.approx(teacher.answer([other]).log_probabilities[0], abs=1e-5)
    assert np.abs(both[0] - both[1]).max() > 1e-4


def test_a_changed_weight_is_heard_of(folder: Path) -> None:
    teacher = load_causal_teacher(str(folder), LABELS, EXACT, tuned=True)
    teacher.answer(PROMPTS)
    with torch.no_grad():
        for weight in teacher.module.parameters():
            if weight.requires_grad:
                weight.add_(0.2)
    expected, _ = plainly(teacher, PROMPTS)
    found, _ = teacher.likelihoods(PROMPTS)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-3)


def test_features_are_the_last_prompt_tokens_hidden_state(teacher: CausalTeacher) -> None:
    answers = teacher.answer(PROMPTS)
    assert answers.features is not None
    for row, prompt in enumerate(PROMPTS):
        ids = torch.tensor(teacher.wholes([prompt]))
        with torch.inference_mode():
            hidden = teacher.module(ids, output_hidden_states=True).hidden_states[-1]
        np.testing.assert_allclose(answers.features[row], hidden[0, -1].numpy(), atol=1e-4)


def test_the_loss_counts_the_responses_alone(teacher: CausalTeacher) -> None:
    labels = torch.tensor([3, 1, 0])
    teacher.module.eval()
    total, tokens = 0.0, 0
    for prompt, label in zip(PROMPTS, labels.tolist(), strict=True):
        ids, response = teacher.wholes([prompt])[0], teacher.labels[label]
        targets = torch.tensor([[-100] * len(ids) + list(response)])
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


def test_half_precision_holds_for_adapters_too(folder: Path) -> None:
    options = replace(EXACT, precision="bfloat16")
    teacher = load_causal_teacher(str(folder), LABELS, options, tuned=True)
    assert {weight.dtype for weight in teacher.module.parameters()} == {torch.bfloat16}
    assert teacher.shares


def test_a_long_description_is_cut_and_the_question_kept(teacher: CausalTeacher) -> None:
    short = replace(teacher, options=replace(teacher.options, max_tokens=180))
    ids = short.wholes([Prompt("Sort.", "many words " * 500)])[0]
    assert len(ids) == 180
    assert short.tokens.tokenizer.decode(ids).endswith("### Response:\n")


def test_labels_that_leave_no_room_are_told(teacher: CausalTeacher) -> None:
    short = replace(teacher, options=replace(teacher.options, max_tokens=180))
    many = Prompt("Sort: " + "; ".join(f"category {number}" for number in range(60)), "Doors " * 90)
    message = r"leaves 0 of 180 .* raise --max-tokens to \d+ .* what --label-descriptions says"
    with pytest.raises(TeacherError, match=message):
        short.answer([many])


def test_noise_is_bounded_and_only_in_training() -> None:
    embedding = torch.nn.Embedding(9, 16)
    embedding.register_forward_hook(add_noise(5.0))
    ids = torch.arange(9)[None]
    clean = embedding.eval()(ids)
    noisy = embedding.train()(ids)
    gap = (noisy - clean).detach().abs().max()
    assert 0 < float(gap) <= 5.0 / np.sqrt(9 * 16)


def test_weights_of_other_formats_have_a_digest(folder: Path, tmp_path: Path) -> None:
    states = load_file(folder / "model.safetensors")
    digests = set()
    for seed in (0, 1):
        path = tmp_path / str(seed)
        path.mkdir()
        states["lm_head.weight"] = states["lm_head.weight"] + seed
        torch.save(states, path / "pytorch_model.bin")
        digests.add(weights_digest(str(path)))
    assert len(digests) == 2
    (tmp_path / "none").mkdir()
    with pytest.raises(TeacherError, match="not contain weights"):
        weights_digest(str(tmp_path / "none"))


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/model", "nothing-here"])
def test_a_path_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(TeacherError, match="does not exist"):
        load_causal_teacher(name, LABELS, CausalOptions(), tuned=False)


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"no config\.json"):
        load_causal_teacher(str(tmp_path), LABELS, CausalOptions(), tuned=False)


def test_a_file_that_is_no_gguf_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_text("something else")
    with pytest.raises(TeacherError, match="not a GGUF file"):
        load_causal_teacher(f"gguf:{tmp_path / 'model.gguf'}", LABELS, EXACT, tuned=False)
    with pytest.raises(TeacherError, match="does not exist"):
        load_causal_teacher(f"gguf:{tmp_path / 'none.gguf'}", LABELS, EXACT, tuned=False)


def test_four_bit_weights_need_a_device(folder: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a device")
    with pytest.raises(TeacherError, match="four-bit"):
        load_causal_teacher(str(folder), LABELS, CausalOptions(four_bit=True), tuned=True)


def test_a_model_that_peft_cannot_tune_is_told(folder: Path, tmp_path: Path) -> None:
    load_family("mamba", folder, tmp_path / "mamba")
    with pytest.raises(TeacherError, match="peft cannot tune this model"):
        load_causal_teacher(str(tmp_path / "mamba"), LABELS, EXACT, tuned=True)


@pytest.mark.parametrize(
    ("normalizer", "labels"),
    [
        (normalizers.NFC(), ("Caf\u00e9", "Cafe\u0301")),
        (normalizers.Lowercase(), ("us", "US")),
    ],
)
def test_labels_that_the_tokenizer_reads_alike_are_refused(
    folder: Path, tmp_path: Path, normalizer: Any, labels: tuple[str, str]
) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    assert len({tuple(tokenizer(label)["input_ids"]) for label in labels}) == 2
    tokenizer.backend_tokenizer.normalizer = normalizer
    shutil.copytree(folder, tmp_path / "own")
    tokenizer.save_pretrained(tmp_path / "own")
    with pytest.raises(TeacherError, match=r"reads the labels '.*' and '.*' alike; rename one"):
        load_causal_teacher(str(tmp_path / "own"), ("kites", *labels), EXACT, tuned=False)
