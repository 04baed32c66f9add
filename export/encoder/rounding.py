"""Rounds weights so that the errors cancel on the network's real inputs.

Each column of a weight matrix is rounded in turn, and the columns that are not rounded yet
compensate for the error (GPTQ, arXiv 2210.17323, eq. 2 and 3). The result lies on the same grid as
the 8-bit converter uses, so that the converter rounds nothing further.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.encoder.block import EncoderBlock, EncoderLayer
from export.encoder.outliers import SplitLinear

STEPS = 127  # of the grid, on either side of zero: 8 bits, as for `export.precisions.to_int8`
BLOCK = 64  # columns whose errors reach the columns after them in one product
DAMPING = 0.01  # of the mean diagonal, added to it: the sample may not span all directions

Matrix = NDArray[np.float64]


def round_products(block: EncoderBlock, token_ids: Sequence[Sequence[int]]) -> None:
    """Rounds the weights of all products, where split their larger part, by some texts' inputs."""
    linears = [module.many for module in block.modules() if isinstance(module, SplitLinear)]
    linears += [cast(nn.Linear, cast(EncoderLayer, layer).out) for layer in block.layers]
    for linear, moments in zip(linears, second_moments(block, linears, token_ids), strict=True):
        rounded = rounded_weights(linear.weight.detach().numpy().astype(np.float64), moments)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(rounded))


@torch.inference_mode()
def second_moments(
    block: EncoderBlock, linears: Sequence[nn.Linear], token_ids: Sequence[Sequence[int]]
) -> list[Matrix]:
    """The second moments of the inputs, summed over all tokens, [in, in] per linear map."""
    moments = [torch.zeros(linear.in_features, linear.in_features) for linear in linears]
    hooks = []
    for total, linear in zip(moments, linears, strict=True):

        def add(module: nn.Module, inputs: tuple[Tensor, ...], total: Tensor = total) -> None:
            rows = inputs[0].flatten(0, -2)
            total.addmm_(rows.T, rows)

        hooks.append(linear.register_forward_pre_hook(add))
    for ids in token_ids:
        block(torch.tensor([list(ids)]), torch.ones(1, len(ids), dtype=torch.int64))
    for hook in hooks:
        hook.remove()
    return [total.numpy().astype(np.float64) for total in moments]


def rounded_weights(weights: Matrix, moments: Matrix) -> Matrix:
    """Weights [out, in] on the grid of their rows, for inputs of these second moments [in, in]."""
    damping = DAMPING * max(float(np.diag(moments).mean()), 1e-12)
    inverse = np.linalg.inv(moments + damping * np.eye(len(moments)))
    factor = np.linalg.cholesky(inverse).T  # upper
    scale = np.maximum(np.abs(weights).max(axis=1), 1e-12) / STEPS
    # The converter derives the grid from a row's largest weight, which must stay.
    largest = np.abs(weights).argmax(axis=1)
    ends = np.sign(weights[np.arange(len(weights)), largest]) * STEPS
    rest = np.ascontiguousarray(weights.T)  # [in, out]: a column's weights lie side by side
    for start in range(0, len(rest), BLOCK):
        block = slice(start, min(start + BLOCK, len(rest)))
        errors = np.zeros_like(rest[block])
        for column in range(block.start, block.stop):
            steps = np.clip(np.rint(rest[column] / scale), -STEPS, STEPS)
            steps = np.where(largest == column, ends, steps)
            error = (rest[column] - steps * scale) / factor[column, column]
            rest[column] = steps * scale
            errors[column - start] = error
            later = slice(column + 1, block.stop)
            rest[later] -= np.outer(factor[column, later], error)
        rest[block.stop :] -= factor[block, block.stop :].T @ errors
    return np.ascontiguousarray(rest.T)
