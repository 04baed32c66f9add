"""What a layer of our own kinds of student learns: the weights of PyTorch Geometric's layers, by
its names and drawn as it draws them.

The sums over neighbours are made by `training.student.network` and `training.student.attention`: of
that library's layers only the weights are needed, and its import takes more than a second.
"""

from math import sqrt

import torch
from torch import nn


class SageConvolution(nn.Module):
    """GraphSAGE (arXiv 1706.02216): a map of the neighbours' mean, and one of the node itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lin_l, self.lin_r = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        drawn_again(self)


class GcnConvolution(nn.Module):
    """GCN (arXiv 1609.02907): a map of the neighbours' sum, and what is added to it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))
        self.lin = map_of_glorot(width, width)


class GinConvolution(nn.Module):
    """GIN (arXiv 1810.00826): a learned epsilon, and a network of the sum."""

    def __init__(self, network: nn.Sequential) -> None:
        super().__init__()
        self.eps = nn.Parameter(torch.zeros(1))
        self.nn = network
        drawn_again(network)


class GatConvolution(nn.Module):
    """GAT (arXiv 1710.10903): a map, and what each head makes of sources and of targets.

    Shapes:
        att_src, att_dst: [1, heads, width / heads]
    """

    negative_slope = 0.2  # of the scores' leaky ReLU

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.out_channels = heads, width // heads
        shape = 1, heads, self.out_channels
        self.att_src, self.att_dst = (nn.Parameter(torch.empty(shape)) for _ in range(2))
        self.bias = nn.Parameter(torch.zeros(heads * self.out_channels))
        self.lin = map_of_glorot(width, heads * self.out_channels)
        bound = sqrt(6 / (heads + self.out_channels))
        for vector in (self.att_src, self.att_dst):
            nn.init.uniform_(vector, -bound, bound)


def map_of_glorot(width: int, out: int) -> nn.Linear:
    """A map without a bias whose numbers are drawn by both of its widths."""
    linear = nn.Linear(width, out, bias=False)
    nn.init.xavier_uniform_(linear.weight)
    return linear


def drawn_again(module: nn.Module) -> None:
    """Draws the maps of a module a second time, for the weights that a seed always gave."""
    for part in module.children():
        if isinstance(part, nn.Linear):
            part.reset_parameters()
