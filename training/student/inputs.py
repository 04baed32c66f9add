"""The student's input layer: what makes of a text's features its first activation."""

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from training.encoders.features import HashedFeatures
from training.encoders.sparse_product import sparse_product

BAG_WIDTH = 128  # of the learned embedding of an n-gram bucket
ENTRIES_A_BUCKET = 32  # of texts' n-grams, from which on to map the table first is less work


class HashedInput(nn.Module):
    """A learned embedding bag over n-gram buckets, then a linear map: [N, buckets] → [N, hidden].

    An n-gram that no training text holds keeps its initial embedding, so that starts at zero.
    """

    def __init__(self, buckets: int, hidden: int, probability: float) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(buckets, BAG_WIDTH))
        self.probability = probability
        self.linear = nn.Linear(BAG_WIDTH, hidden)

    def rows(self, features: HashedFeatures) -> Tensor:
        """What the linear map reads: the bags, [N, BAG_WIDTH]."""
        return sparse_product(features.rows, self.table)

    def mapped(self, rows: Tensor) -> Tensor:
        """[B, BAG_WIDTH] → [B, hidden]."""
        return cast(Tensor, self.linear(rows))

    def mapped_rows(self, features: HashedFeatures) -> Tensor | None:
        """Both maps at once, [N, hidden], where that is less work; None where it is not.

        With few outputs and many n-grams to a bucket it is to map the table and sum up after it;
        a dropout between the two does not let them change places.
        """
        narrow = self.linear.out_features < BAG_WIDTH
        few = features.entries < ENTRIES_A_BUCKET * len(self.table)
        if not narrow or few or (self.probability and self.training):
            return None
        with torch.autocast(self.table.device.type, enabled=False):
            return sparse_product(features.rows, F.linear(self.table, self.linear.weight))

    def reader(self, features: HashedFeatures) -> Callable[[NDArray[np.int64]], Tensor]:
        """What maps some texts, int64 [B], to [B, hidden], without a gradient.

        Both maps are linear: with few outputs the table goes through the second one first.
        """
        table, weight = self.table.detach(), self.linear.weight.detach()
        narrow = len(weight) < BAG_WIDTH
        values = (F.linear(table, weight) if narrow else table).cpu().numpy()

        def read(nodes: NDArray[np.int64]) -> Tensor:
            bags = torch.from_numpy(features.matrix(nodes) @ values).to(table.device)
            return bags + self.linear.bias if narrow else self.mapped(bags)

        return read


class DenseInput(nn.Linear):
    """A linear map of the encoder's embeddings: [N, dimension] → [N, hidden]."""

    def __init__(self, dimension: int, hidden: int, probability: float) -> None:
        super().__init__(dimension, hidden)
        self.probability = probability

    def rows(self, features: Tensor) -> Tensor:
        """What the map reads."""
        return features

    def mapped(self, rows: Tensor) -> Tensor:
        """[B, dimension] → [B, hidden]."""
        return F.linear(rows, self.weight, self.bias)
