"""One pass per node, which reads common parts of prompts once.

The keys and values of a head (instruction and labels) are computed once per graph. A chain's
longest description follows, and at the end of every description in it, a branch with the question
and the labels' tree begins. A token sees the head, the trunk up to its branch, and its own
ancestors in the branch, at the position that it would have in a separate prompt, so states equal
those of one pass per prompt. Layers with a window see no farther than it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from training.teacher.causal.chains import Chain
from training.teacher.causal.forward import forward_at, places
from training.teacher.causal.label_tree import LabelTree
from training.teacher.causal.tokens import Ids

KeyValues = list[tuple[Tensor, Tensor]]
FULL, SLIDING, CHUNKED = "full_attention", "sliding_attention", "chunked_attention"


@dataclass(frozen=True, slots=True)
class Branch:
    """The question and the labels' tree, which follow any description.

    Shapes:
        tokens, depths: int64 [Q], depths from the branch's start
        ancestors: bool [Q, Q], what each token sees of its own branch
        read: int64 [1 + K], where logits are read: after the question, and after each node
    """

    tokens: Tensor
    depths: Tensor
    ancestors: Tensor
    read: Tensor


def branch_of(tail: Ids, tree: LabelTree) -> Branch:
    size, nodes = len(tail), len(tree.tokens)
    ancestors = torch.zeros(size + nodes, size + nodes, dtype=torch.bool)
    ancestors[:size, :size] = torch.ones(size, size, dtype=torch.bool).tril()
    ancestors[size:, :size] = True
    ancestors[size:, size:] = tree.ancestors
    return Branch(
        torch.cat([torch.tensor(tail), tree.tokens]),
        torch.cat([torch.arange(size), size + tree.depths]),
        ancestors,
        torch.arange(size - 1, size + nodes),
    )


@dataclass(slots=True)
class Heads:
    """Caches keys and values of the latest head until a weight changes."""

    key: tuple[Any, ...] = ()
    values: KeyValues = field(default_factory=list)

    def of(self, module: nn.Module, head: Ids) -> KeyValues:
        """[1, H, T, d_head] keys and values of every layer."""
        versions = sum(w._version for w in module.parameters() if not w.is_inference())
        key = (head, versions)
        if key != self.key:
            ids = torch.tensor([head], device=next(module.parameters()).device)
            # Without a configuration, the cache keeps what is outside of a layer's window.
            cache = DynamicCache()
            inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            forward_at(module, *places([0], [1]), **inputs, cache=cache, use_cache=True)
            self.values = [(layer[0], layer[1]) for layer in cache]
            self.key = key
        return self.values


@torch.inference_mode()
def read_chains(
    module: nn.Module, heads: Heads, chains: Sequence[Chain], branch: Branch
) -> tuple[Tensor, Tensor]:
    """Reads chains with one head and E ends each.

    Returns:
        logits [B, E, 1 + K, V] where a branch is read, and hidden states [B, E, d] after questions
    """
    device = next(module.parameters()).device
    size, ends, each = len(chains), len(chains[0].ends), len(branch.tokens)
    shared = heads.of(module, chains[0].head)
    ids, positions, seen = layout(chains, branch)
    length = len(chains[0].head)
    seen = torch.cat([torch.ones(size, ids.shape[1], length, dtype=torch.bool), seen], dim=2)
    keys = torch.cat([torch.arange(length).expand(size, -1), positions + length], dim=1)
    gap = (positions + length)[:, :, None] - keys[:, None]
    cache = DynamicCache(
        [(k.expand(size, -1, -1, -1), v.expand(size, -1, -1, -1)) for k, v in shared]
    )
    width = ids.shape[1] - ends * each
    read = (width + torch.arange(ends)[:, None] * each + branch.read).flatten()
    logits, states, _ = forward_at(
        module,
        torch.arange(size).repeat_interleave(len(read)),
        read.repeat(size),
        input_ids=ids.to(device),
        position_ids=(positions + length).to(device),
        attention_mask=masks(module, seen, gap, keys),
        cache=cache,
        use_cache=True,
    )
    places_of = size, ends, len(branch.read)
    return logits.view(*places_of, -1), states.view(*places_of, -1)[:, :, 0]


def layout(chains: Sequence[Chain], branch: Branch) -> tuple[Tensor, Tensor, Tensor]:
    """Lays out padded trunks, followed by their branches.

    Returns:
        ids int64 [B, T]; positions int64 [B, T], from the head's end; seen bool [B, T, T]
    """
    size, ends, each = len(chains), len(chains[0].ends), len(branch.tokens)
    width = max(len(chain.trunk) for chain in chains)
    total = width + ends * each
    ids = torch.zeros(size, total, dtype=torch.long)
    positions = torch.arange(total).repeat(size, 1)
    seen = torch.zeros(size, total, total, dtype=torch.bool)
    seen[:, :width, :width] = torch.ones(width, width, dtype=torch.bool).tril()
    for row, chain in enumerate(chains):
        ids[row, : len(chain.trunk)] = torch.tensor(chain.trunk)
        for number, end in enumerate(chain.ends):
            own = slice(width + number * each, width + (number + 1) * each)
            ids[row, own] = branch.tokens
            positions[row, own] = end + branch.depths
            seen[row, own, :end] = True
            seen[row, own, own] = branch.ancestors
    return ids, positions, seen


def masks(module: nn.Module, seen: Tensor, gap: Tensor, keys: Tensor) -> Any:
    """The additive attention mask, or one per kind of layer.

    Shapes:
        seen: bool [B, T, S]
        gap: int64 [B, T, S], distance of a key's position before a query's
        keys: int64 [B, S], positions
    """
    parameter = next(module.parameters())
    config = module.config.get_text_config()  # type: ignore[union-attr,operator]
    kinds = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None)

    def added(visible: Tensor) -> Tensor:
        dtype = module.get_input_embeddings().weight.dtype  # type: ignore[operator]
        mask = torch.zeros(visible.shape, dtype=dtype)
        mask.masked_fill_(~visible, torch.finfo(dtype).min)
        return mask[:, None].to(parameter.device)

    near = seen & (gap < window) if window else seen
    if len(kinds) < 2:
        return added(seen if kinds == {FULL} else near)
    result = {FULL: added(seen), SLIDING: added(near)}
    if CHUNKED in kinds:
        chunk = int(config.attention_chunk_size)
        queries = keys[:, -gap.shape[1] :]
        same = (queries // chunk)[:, :, None] == (keys // chunk)[:, None]
        result[CHUNKED] = added(seen & same)
    return {kind: mask for kind, mask in result.items() if kind in kinds}
