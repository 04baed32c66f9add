"""Layers' weights have the names, the order and the draws of PyG's, and need none of its import."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch_geometric.nn import GATConv, GCNConv, GINConv, SAGEConv

from training.config import StudentConfig
from training.student.network import convolution, perceptron

PUBLISHED: dict[str, Callable[[int], nn.Module]] = {
    "sage": lambda width: SAGEConv(width, width),
    "gcn": lambda width: GCNConv(width, width, normalize=False),
    "gat": lambda width: GATConv(width, width // 4, heads=4),
    "gin": lambda width: GINConv(perceptron(width), train_eps=True),
}


@pytest.mark.parametrize("width", [8, 20, 256])
@pytest.mark.parametrize("kind", PUBLISHED)
def test_weights_are_those_of_pyg_for_the_same_seed(kind: str, width: int) -> None:
    torch.manual_seed(width)
    if kind != "gin":
        perceptron(width)  # as `convolution` draws and drops one
    expected, after = PUBLISHED[kind](width), torch.rand(3)
    torch.manual_seed(width)
    found = convolution(StudentConfig(kind=kind, hidden=width, heads=4))
    assert torch.equal(torch.rand(3), after)  # no more and no fewer numbers are drawn
    pairs = zip(expected.named_parameters(), found.named_parameters(), strict=True)
    for (theirs, wanted), (ours, weight) in pairs:
        assert ours == theirs
        assert torch.equal(weight, wanted), ours
