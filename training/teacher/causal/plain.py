"""One plain forward pass per label: slow, but exact for every causal model, even recurrent ones."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.teacher.causal.forward import forward_at, padded, places
from training.teacher.causal.label_tree import log_normalizers
from training.teacher.causal.tokens import Ids

TOKENS_PER_BATCH = 8_192  # including padding


@torch.inference_mode()
def plain_likelihoods(
    module: nn.Module, prompts: Sequence[Ids], responses: Sequence[Ids]
) -> tuple[Tensor, Tensor]:
    """Log-likelihoods of the responses, float32 [P, C], and hidden states [P, d].

    Args:
        prompts: complete, including tails
        responses: including end tokens; states are those of the prompts' last tokens
    """
    rows = [(prompt, response) for prompt in prompts for response in responses]
    width = max(len(prompt) + len(response) for prompt, response in rows)
    size = max(TOKENS_PER_BATCH // width, 1)
    sums, states = [], []
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        likelihoods, first = score(module, part)
        sums.append(likelihoods)
        states.append(first)
    likelihoods = torch.cat(sums).view(len(prompts), len(responses))
    return likelihoods, torch.cat(states)[:: len(responses)]


def score(module: nn.Module, rows: Sequence[tuple[Ids, Ids]]) -> tuple[Tensor, Tensor]:
    """Log-likelihood [B] of each response, and the state [B, d] of each prompt's last token."""
    device = next(module.parameters()).device
    batch = padded([(*prompt, *response[:-1]) for prompt, response in rows], 0, device)
    counts = [len(response) for _, response in rows]
    at = places([len(prompt) - 1 for prompt, _ in rows], counts)
    logits, states, _ = forward_at(module, *at, **batch, use_cache=False)
    targets = torch.tensor([token for _, response in rows for token in response], device=device)
    terms = logits.gather(1, targets[:, None])[:, 0].float() - log_normalizers(logits)
    sums = terms.new_zeros(len(rows)).index_add_(0, at[0].to(device), terms)
    firsts = torch.tensor(counts).cumsum(0) - torch.tensor(counts)
    return sums, states[firsts]
