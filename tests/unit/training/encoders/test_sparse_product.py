import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from training.encoders.sparse_product import BLOCK_ROWS, sparse_product, sparse_rows


def random_matrix(rows: int, columns: int, seed: int) -> sparse.csr_array:
    generator = np.random.default_rng(seed)
    return sparse.csr_array(
        sparse.random_array((rows, columns), density=0.1, dtype=np.float32, rng=generator)
    )


@given(st.integers(0, 40), st.integers(1, 30), st.integers(1, 5), st.integers(0, 9))
def test_product_and_gradient_are_those_of_the_dense_matrix(
    rows: int, columns: int, width: int, seed: int
) -> None:
    matrix = random_matrix(rows, columns, seed)
    dense = torch.from_numpy(matrix.toarray())
    table = torch.randn(columns, width, requires_grad=True)
    expected = torch.zeros_like(table, requires_grad=True)
    with torch.no_grad():
        expected.copy_(table)
    weights = torch.randn(rows, width)

    product = sparse_product(sparse_rows(matrix), table)
    (product * weights).sum().backward()
    wanted = dense @ expected
    (wanted * weights).sum().backward()

    assert torch.allclose(product, wanted, atol=1e-5)
    assert table.grad is not None
    assert expected.grad is not None
    assert torch.allclose(table.grad, expected.grad, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_rows_of_several_blocks_keep_their_order(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        matrix = random_matrix(BLOCK_ROWS + 3, 50, seed=1)
        table, weights = torch.randn(50, 4, requires_grad=True), torch.randn(BLOCK_ROWS + 3, 4)
        product = sparse_product(sparse_rows(matrix), table)
        product.backward(weights)
    finally:
        torch.set_num_threads(before)
    wanted = torch.from_numpy(matrix @ table.detach().numpy())
    assert torch.allclose(product, wanted, atol=1e-5)
    assert table.grad is not None
    gradient = torch.from_numpy(matrix.T @ weights.numpy())
    assert torch.allclose(table.grad, gradient, atol=1e-3)
