"""Forward passes that compute the output layer only at the needed positions.

Applied to [B, K, d] cut out of a longer row, the layer would be a batched product that copies its
weights for every row; flattened, it is one plain product.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn


class Picked:
    """A hook of the output layer that passes only some states, and keeps them.

    Shapes:
        rows, columns: int64 [N], of the states [B, T, d] that enter
        states: those that passed, [N, d]
    """

    states: Tensor

    def __init__(self, rows: Tensor, columns: Tensor) -> None:
        self.rows, self.columns = rows, columns

    def __call__(self, layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        self.states = inputs[0][self.rows, self.columns]
        return (self.states[None], *inputs[1:])


def forward_at(
    module: nn.Module, rows: Tensor, columns: Tensor, **inputs: Any
) -> tuple[Tensor, Tensor, Any]:
    """Logits [N, V] and last hidden states [N, d] at some positions, and the model's output."""
    picked = Picked(rows, columns)
    layer = cast(nn.Module, module.get_output_embeddings())  # type: ignore[operator]
    handle = layer.register_forward_pre_hook(picked)
    try:
        output = module(**inputs)
    finally:
        handle.remove()
    return output.logits[0], picked.states, output


def padded(rows: Sequence[Sequence[int]], padding: int, device: torch.device) -> dict[str, Tensor]:
    """int64 [B, T] ids, padded on the right, where a causal model's states do not see it.

    So the mask hides nothing, and attention is plainly causal.
    """
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[padding] * (width - len(row))] for row in rows], device=device)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def places(starts: Sequence[int], counts: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Rows and columns of `counts[i]` positions from column `starts[i]` of each row i."""
    rows = torch.arange(len(starts)).repeat_interleave(torch.tensor(counts))
    columns = [start + place for start, n in zip(starts, counts, strict=True) for place in range(n)]
    return rows, torch.tensor(columns, dtype=torch.long)
