"""Our attention equals PyG's: forward, backward, on whole and on directed graphs."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from torch import Tensor
from torch_geometric.nn import GATConv

from tests.unit.training.samples import small_graph
from training.data import Attended, attended, edges
from training.student.attention import BLOCK_EDGES, attention, pair_products, weighted_sum

HEADS, CHANNELS, WIDTH = 2, 3, 5


def directed_pairs(nodes: int, seed: int) -> tuple[Tensor, Attended]:
    """Random edges that go one way, as PyG takes them and as we do."""
    generator = np.random.default_rng(seed)
    linked = generator.random((nodes, nodes)) < 0.2
    np.fill_diagonal(linked, val=False)
    targets, sources = linked.nonzero()
    looped = sparse.csr_array(linked + np.eye(nodes))
    return torch.from_numpy(np.stack([sources, targets])), attended(looped)


def results(conv: GATConv, h: Tensor, output: Tensor) -> list[Tensor]:
    """The output, and the gradients of its weighted sum in all that it depends on."""
    weights = torch.arange(output.numel(), dtype=output.dtype).view_as(output).sin()
    return [output, *torch.autograd.grad((output * weights).sum(), [h, *conv.parameters()])]


@given(st.integers(1, 30), st.integers(0, 9))
def test_attention_and_its_gradients_are_those_of_pyg(nodes: int, seed: int) -> None:
    torch.manual_seed(seed)
    conv = GATConv(WIDTH, CHANNELS, heads=HEADS)
    h = torch.randn(nodes, WIDTH, requires_grad=True)
    edge_index, pairs = directed_pairs(nodes, seed)
    ours = results(conv, h, attention(conv, h, pairs))
    theirs = results(conv, h, conv(h, edge_index))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_whole_graph_attends_as_in_pyg(threads: int) -> None:
    graph_edges = edges(small_graph().adjacency)
    torch.manual_seed(0)
    conv = GATConv(WIDTH, CHANNELS, heads=HEADS)
    h = torch.randn(len(graph_edges.attended.indptr) - 1, WIDTH, requires_grad=True)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        ours = results(conv, h, attention(conv, h, graph_edges.attended))
    finally:
        torch.set_num_threads(before)
    theirs = results(conv, h, conv(h, graph_edges.edge_index))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_gradients_are_those_of_finite_differences() -> None:
    _, pairs = directed_pairs(6, seed=1)
    shapes = (len(pairs.sources), HEADS), (6, HEADS, CHANNELS)
    weights, rows = (torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes)
    assert torch.autograd.gradcheck(partial(weighted_sum, pairs), (weights, rows))


def test_products_of_more_pairs_than_a_block_holds() -> None:
    generator = np.random.default_rng(0)
    left, right = generator.normal(size=(2, 40, 4)).astype(np.float32)
    i, j = generator.integers(0, 40, (2, 2 * BLOCK_EDGES + 3))
    expected = (left[i] * right[j]).sum(axis=1)
    np.testing.assert_allclose(pair_products(left, right, i, j), expected, atol=1e-5)
