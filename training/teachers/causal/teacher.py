"""A causal language model as the teacher: tuned with low-rank adapters, scored by likelihood.

Tuning: LoRA (arXiv 2106.09685) on every linear layer, loss on the response alone, uniform noise on
the embeddings (NEFTune, arXiv 2310.05914). A hop feature is the last layer's hidden state of the
prompt's last token (LinguGKD, arXiv 2402.05894, section 3.2).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graph.prompts import Prompt
from training.teachers.causal.label_tree import LabelTree, label_tree
from training.teachers.protocol import Answers

IGNORED = -100  # a target that no loss counts


@dataclass(frozen=True, slots=True)
class CausalOptions:
    max_tokens: int = 520  # of a prompt; its description is cut
    rank: int = 64  # of the adapters
    alpha: int = 32  # the adapters' scale is alpha / rank
    dropout: float = 0.1  # probability, of the adapters' input
    noise: float = 5.0  # NEFTune's alpha; 0 adds none
    four_bit: bool = False  # NF4 base weights; needs CUDA and bitsandbytes
    gradient_checkpointing: bool = False  # less memory for a third more time


@dataclass(frozen=True, slots=True)
class CausalTeacher:
    """The model, with adapters where it is tuned, its tokenizer, and the labels as tokens."""

    module: nn.Module
    tokenizer: Any
    options: CausalOptions
    labels: tuple[tuple[int, ...], ...]  # token ids, no end token
    tree: LabelTree
    digest: str  # SHA-256 of the untuned weights

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    def loss(self, prompts: Sequence[Prompt], labels: Tensor) -> Tensor:
        """Cross entropy of the responses' tokens, their ends included; nats a token."""
        end = int(self.tokenizer.eos_token_id)
        responses = [[*self.labels[label], end] for label in labels.tolist()]
        rows = [
            [*ids, *response]
            for ids, response in zip(self.tokenize(prompts), responses, strict=True)
        ]
        batch = self.pad(rows)
        longest = max(len(response) for response in responses)
        targets = torch.full((len(rows), longest), IGNORED)
        for row, response in enumerate(responses):
            targets[row, -len(response) :] = torch.tensor(response)
        # Rows end together, so the responses are the last columns and need no other logits.
        logits = self.module(**batch, logits_to_keep=longest + 1).logits[:, :-1]
        return F.cross_entropy(
            logits.flatten(0, 1).float(), targets.flatten().to(logits.device), ignore_index=IGNORED
        )

    @torch.inference_mode()
    def answer(self, prompts: Sequence[Prompt]) -> Answers:
        self.module.eval()
        batch = self.pad(self.tokenize(prompts))
        with last_hidden(self.module) as captured:
            output = self.module(**batch, use_cache=True, logits_to_keep=1)
        first = output.logits[:, -1].float().log_softmax(-1)
        rest = self.tree_logits(batch, output.cache)
        scores = self.tree.scores(first, rest).log_softmax(-1)
        features = captured.value[:, -1].float()
        return Answers(scores.cpu().numpy(), features.cpu().numpy())

    def tree_logits(self, batch: dict[str, Tensor], cache: Any) -> Tensor:
        """Next-token log-probabilities after every node of the tree, float32 [B, K, V]."""
        mask, positions = batch["attention_mask"], batch["position_ids"]
        size, count = len(mask), len(self.tree.tokens)
        ancestors = self.tree.ancestors.to(self.device).expand(size, count, count)
        prompt = mask.bool()[:, None].expand(size, count, mask.shape[1])
        seen = torch.cat([prompt, ancestors], dim=2)[:, None]  # [B, 1, K, T + K]
        dtype = self.module.get_input_embeddings().weight.dtype  # type: ignore[operator]
        blocked = torch.zeros(seen.shape, dtype=dtype, device=self.device)
        blocked.masked_fill_(~seen, torch.finfo(dtype).min)
        output = self.module(
            input_ids=self.tree.tokens.to(self.device).expand(size, count),
            attention_mask=blocked,
            position_ids=positions[:, -1:] + 1 + self.tree.depths.to(self.device),
            cache=cache,
            use_cache=True,
        )
        return cast(Tensor, output.logits.float().log_softmax(-1))

    def lengths(self, prompts: Sequence[Prompt]) -> list[int]:
        return [len(ids) for ids in self.tokenize(prompts)]

    def tokenize(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Token ids; the description alone is cut where a prompt is too long."""
        head = self.ids(prompts[0].head, start=True)
        tail = self.ids(prompts[0].tail)
        room = max(self.options.max_tokens - len(head) - len(tail), 0)
        encoded = self.tokenizer([p.description for p in prompts], add_special_tokens=False)
        return [[*head, *ids[:room], *tail] for ids in encoded["input_ids"]]

    def ids(self, text: str, start: bool = False) -> list[int]:
        ids = cast(list[int], self.tokenizer(text, add_special_tokens=start)["input_ids"])
        return ids[:-1] if start and ids[-1:] == [self.tokenizer.eos_token_id] else ids

    def pad(self, rows: Sequence[Sequence[int]]) -> dict[str, Tensor]:
        """Padded on the left, so that every row ends in the last column; int64 [B, T] each."""
        width = max(len(row) for row in rows)
        padding = int(self.tokenizer.eos_token_id)
        ids = torch.tensor([[padding] * (width - len(row)) + list(row) for row in rows])
        lengths = torch.tensor([len(row) for row in rows])
        mask = (torch.arange(width) >= width - lengths[:, None]).long()
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        batch = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
        return {name: tensor.to(self.device) for name, tensor in batch.items()}

    def save_adapter(self, folder: Path) -> None:
        """The adapter as peft writes it, so that other servers can load it."""
        save = getattr(self.module, "save_pretrained", None)
        if save is not None and hasattr(self.module, "peft_config"):
            save(folder)


class Capture:
    """Keeps what enters the model's output layer: the last layer's hidden states."""

    value: Tensor

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.value = inputs[0]


class last_hidden:  # noqa: N801 - a context manager, named like a function
    """Captures the hidden states that one forward pass gives to the output layer."""

    def __init__(self, module: nn.Module) -> None:
        self.layer = module.get_output_embeddings()  # type: ignore[operator]

    def __enter__(self) -> Capture:
        capture = Capture()
        self.handle = self.layer.register_forward_pre_hook(capture)
        return capture

    def __exit__(self, *_: object) -> None:
        self.handle.remove()


def add_noise(alpha: float) -> Any:
    """A hook for the embeddings: uniform noise of scale alpha / sqrt(T d) (NEFTune, section 3)."""

    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        if not module.training:
            return output
        scale = alpha / math.sqrt(output.shape[1] * output.shape[2])
        return output + torch.empty_like(output).uniform_(-scale, scale)

    return hook


def causal_teacher(
    module: nn.Module,
    tokenizer: Any,
    label_names: Sequence[str],
    options: CausalOptions,
    digest: str,
) -> CausalTeacher:
    """A loaded model as a teacher of these labels."""
    encoded = tokenizer(list(label_names), add_special_tokens=False)["input_ids"]
    labels = tuple(tuple(ids) for ids in encoded)
    tree = label_tree(labels, int(tokenizer.eos_token_id))
    return CausalTeacher(module, tokenizer, options, labels, tree, digest)
