"""A causal language model as the teacher: tuned with low-rank adapters, scored by likelihood.

The loss is on the response alone, with uniform noise on the embeddings (NEFTune, arXiv
2310.05914). A hop feature is the last layer's hidden state of the prompt's last token (LinguGKD,
arXiv 2402.05894, section 3.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.teacher.causal.chains import Chain, batches_of, chains_of
from training.teacher.causal.forward import forward_at, padded, places
from training.teacher.causal.label_tree import LabelTree
from training.teacher.causal.options import CausalOptions
from training.teacher.causal.plain import plain_likelihoods
from training.teacher.causal.scores import PRIOR, compared
from training.teacher.causal.shared import Branch, Heads, read_chains
from training.teacher.causal.tokens import Ids, Row, Tokens
from training.teacher.protocol import Answers
from understudy.graph.prompts import Prompt

LOGITS_BYTES = 2**29  # of a batch's logits
TOKENS_PER_BATCH = 8_192  # default size of a batch


@dataclass(frozen=True, slots=True)
class CausalTeacher:
    """The model, with adapters if it is tuned, its tokens, and the labels as tokens."""

    module: nn.Module
    tokens: Tokens
    options: CausalOptions
    labels: tuple[Ids, ...]  # including end tokens: the targets of tuning
    tree: LabelTree
    branch: Branch
    digest: str  # SHA-256 of the untuned weights
    reading: str = ""  # see `training.teacher.reading`
    shares: bool = True  # common beginnings of prompts are read once; otherwise one pass per label
    heads: Heads = field(default_factory=Heads)

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    def loss(self, prompts: Sequence[Prompt], labels: Tensor) -> Tensor:
        """Cross-entropy of the responses' tokens, including their ends; nats per token."""
        responses = [self.labels[label] for label in labels.tolist()]
        wholes = self.wholes(prompts)
        rows = [(*ids, *end[:-1]) for ids, end in zip(wholes, responses, strict=True)]
        at = places([len(ids) - 1 for ids in wholes], [len(end) for end in responses])
        batch = padded(rows, self.tokens.frame.end, self.device)
        logits, _, _ = forward_at(self.module, *at, **batch, use_cache=False)
        targets = torch.tensor([token for end in responses for token in end], device=self.device)
        return F.cross_entropy(logits.float(), targets)

    def answer(self, prompts: Sequence[Prompt]) -> Answers:
        self.module.eval()
        questions = list(prompts)
        instructions = list(dict.fromkeys(prompt.instruction for prompt in prompts))
        if self.options.scores == PRIOR:
            questions += [Prompt(instruction, "") for instruction in instructions]
        likelihoods, features = self.likelihoods(questions)
        own, priors = likelihoods[: len(prompts)], likelihoods[len(prompts) :]
        if len(priors):
            priors = priors[[instructions.index(prompt.instruction) for prompt in prompts]]
        scores = compared(own, self.label_lengths, priors, self.options.scores)
        return Answers(scores.numpy(), features[: len(prompts)].numpy())

    @property
    def label_lengths(self) -> Tensor:
        return torch.tensor([len(response) for response in self.tree.responses])

    def likelihoods(self, prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor]:
        """Log-likelihoods of the labels, float32 [P, C], and features, float32 [P, d]."""
        if not self.shares:
            found = plain_likelihoods(self.module, self.wholes(prompts), self.tree.responses)
            return found[0].cpu(), found[1].float().cpu()
        likelihoods = torch.empty(len(prompts), len(self.labels))
        features: Tensor | None = None
        for chains in self.plan(self.rows(prompts), TOKENS_PER_BATCH):
            logits, states = read_chains(self.module, self.heads, chains, self.branch)
            rows = self.tree.likelihoods(logits.flatten(0, 1)).cpu()
            if features is None:
                features = torch.empty(len(prompts), states.shape[-1])
            ends = [members for chain in chains for members in chain.members]
            for row, (members, state) in enumerate(zip(ends, states.flatten(0, 1), strict=True)):
                likelihoods[list(members)] = rows[row]
                features[list(members)] = state.float().cpu()
        assert features is not None
        return likelihoods, features

    def batches(self, prompts: Sequence[Prompt], tokens_per_batch: int) -> list[list[int]]:
        """Groups prompts to be answered together, by position; nested ones stay together."""
        batches = self.plan(self.rows(prompts), tokens_per_batch)
        return [[at for chain in batch for at in chain.positions] for batch in batches]

    def plan(self, rows: Sequence[Row], tokens_per_batch: int) -> list[list[Chain]]:
        size = len(self.branch.tokens)
        return batches_of(chains_of(rows), size, tokens_per_batch, self.branches_per_batch)

    @property
    def branches_per_batch(self) -> int:
        """The largest number whose logits fit."""
        vocabulary: Tensor = self.module.get_output_embeddings().weight  # type: ignore[operator]
        row_bytes = len(vocabulary) * vocabulary.element_size()
        return max(LOGITS_BYTES // (row_bytes * len(self.branch.read)), 1)

    def rows(self, prompts: Sequence[Prompt]) -> list[Row]:
        return self.tokens.rows(prompts, self.options.max_tokens)

    def wholes(self, prompts: Sequence[Prompt]) -> list[Ids]:
        """Every prompt's tokens, including its tail."""
        tail = self.tokens.tail(prompts[0])
        return [(*row.head, *row.body, *tail) for row in self.rows(prompts)]

    def lengths(self, prompts: Sequence[Prompt]) -> list[int]:
        return [len(ids) for ids in self.wholes(prompts)]

    def save_adapter(self, folder: Path) -> None:
        """Saves the adapter in peft's format, so that other servers can load it."""
        save = getattr(self.module, "save_pretrained", None)
        if save is not None and hasattr(self.module, "peft_config"):
            save(folder)
