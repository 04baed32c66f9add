"""The embedded teacher: a small text encoder with a classification head.

It reads only a prompt's description, since the instruction is the same for every node.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer

from training.encoders.minilm import find_model, length_batches, load_minilm
from training.errors import TeacherError
from training.teacher.protocol import Answers
from training.teacher.reading import reading_digest
from understudy.graph.errors import first_line
from understudy.graph.files import file_digest
from understudy.graph.prompts import Prompt

HEAD_DROPOUT = 0.1


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    max_tokens: int = 160  # of a description; the rest is truncated
    tuned_layers: int = 0  # number of upper transformer layers to tune; 0 tunes all
    frozen: bool = False  # tunes no layer: fits a head to features that are computed once
    bf16: bool = False  # the transformer's products in bfloat16; weights and head stay float32


class Classifier(nn.Module):
    """A transformer, the mean over its tokens, and a linear head.

    Shapes:
        input_ids, attention_mask: int64 [B, T]
        returns: logits float32 [B, C] and the pooled features float32 [B, d]
    """

    def __init__(
        self, transformer: nn.Module, dimension: int, classes: int, bf16: bool = False
    ) -> None:
        super().__init__()
        self.transformer = transformer
        self.bf16 = bf16
        self.head = nn.Linear(dimension, classes)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(input_ids.device.type, torch.bfloat16, enabled=self.bf16):
            output = self.transformer(input_ids=input_ids, attention_mask=attention_mask)
        states = output.last_hidden_state.float()
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        pooled = (states * mask).sum(1) / mask.sum(1)
        return self.head(F.dropout(pooled, HEAD_DROPOUT, self.training)), pooled


@dataclass(frozen=True, slots=True)
class EncoderTeacher:
    module: Classifier
    tokenizer: Any
    options: EncoderOptions
    digest: str  # SHA-256 of the untuned weights
    reading: str = ""  # see `training.teacher.reading`

    def loss(self, prompts: Sequence[Prompt], labels: Tensor) -> Tensor:
        logits, _ = self.module(**self.batch(prompts))
        return F.cross_entropy(logits, labels.to(logits.device))

    @torch.inference_mode()
    def answer(self, prompts: Sequence[Prompt]) -> Answers:
        self.module.eval()
        logits, pooled = self.module(**self.batch(prompts))
        return Answers(logits.log_softmax(1).cpu().numpy(), pooled.cpu().numpy())

    def batches(self, prompts: Sequence[Prompt], tokens_per_batch: int) -> list[list[int]]:
        lengths = self.lengths(prompts)
        order = sorted(range(len(prompts)), key=lambda index: lengths[index])
        return length_batches(order, lengths, tokens_per_batch)

    def lengths(self, prompts: Sequence[Prompt]) -> list[int]:
        return [len(ids) for ids in self.tokenize(prompts)]

    def tokenize(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        encoded = self.tokenizer(
            [prompt.description for prompt in prompts],
            truncation=True,
            max_length=self.options.max_tokens,
        )
        return cast(list[list[int]], encoded["input_ids"])

    def batch(self, prompts: Sequence[Prompt]) -> dict[str, Tensor]:
        padded = self.tokenizer.pad({"input_ids": self.tokenize(prompts)}, return_tensors="pt")
        device = self.module.head.weight.device
        return {name: padded[name].to(device) for name in ("input_ids", "attention_mask")}


def load_encoder_teacher(
    path: Path | None, classes: int, options: EncoderOptions, seed: int = 0
) -> EncoderTeacher:
    """MiniLM, or any BERT-like encoder in the folder `path`, with a fresh head.

    Word embeddings are never tuned: they are half of MiniLM's weights, and few tokens of a graph
    occur often enough to improve them.

    Raises:
        TeacherError: the folder holds no encoder.
        EncoderError: MiniLM is not found.
    """
    folder = find_model(None) if path is None else path
    try:
        if path is None:
            load_minilm(folder)  # checks the weights' digest
        transformer = AutoModel.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        digest = file_digest(folder / "model.safetensors")
    except (OSError, ValueError) as error:
        raise TeacherError(
            f"{folder} does not contain a text encoder: {first_line(error)}"
        ) from error
    torch.manual_seed(seed)
    module = Classifier(transformer, int(transformer.config.hidden_size), classes, options.bf16)
    freeze_lower(module, options.tuned_layers)
    if options.frozen:
        transformer.requires_grad_(False)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    module = module.to(device).eval()
    return EncoderTeacher(module, tokenizer, options, digest, reading_digest(folder))


def freeze_lower(module: Classifier, tuned_layers: int) -> None:
    """Enables gradients only for the head and the upper layers."""
    transformer = cast(Any, module.transformer)
    for weight in transformer.embeddings.parameters():
        weight.requires_grad = False
    if tuned_layers:
        for layer in transformer.encoder.layer[:-tuned_layers]:
            for weight in layer.parameters():
                weight.requires_grad = False
    if getattr(transformer, "pooler", None) is not None:
        for weight in transformer.pooler.parameters():  # not read by the mean over tokens
            weight.requires_grad = False
