"""Sums updated by differences equal fresh sums, after any number of updates."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from understudy.engine.updates.cached_sums import FEW_SUMMANDS, SUMS_A_STEP, KeptSums
from understudy.graph.csr import Adjacency

WIDTH = 8
DIFFERENCES = 100_000
HUB = np.array([0])


def to_hub(count: int) -> Adjacency:
    """The lists of nodes whose only neighbour is the hub."""
    return Adjacency(np.arange(count + 1), np.zeros(count, np.int32))


def of_degree(degree: int) -> Callable[[NDArray[np.integer]], NDArray[np.int64]]:
    """That many neighbours, whichever row is asked for."""
    return lambda rows: np.full(len(rows), degree)


@pytest.mark.parametrize("neighbors", [30, 300])
def test_many_differences_add_up_to_no_drift(neighbors: int) -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(neighbors, WIDTH)).astype(np.float32)
    sums = KeptSums(WIDTH, 1)
    at_once = neighbors // 3
    taken = 0
    for number in range(DIFFERENCES // at_once):
        if not sums.has(HUB)[0]:
            sums.keep(HUB, values.sum(axis=0, dtype=np.float32)[None])
            taken += 1
        moved = generator.choice(neighbors, at_once, replace=False)
        new = generator.normal(size=(at_once, WIDTH)).astype(np.float32)
        differences = new - values[moved]
        values[moved] = new
        sums.add(to_hub(at_once), differences, 1, of_degree(neighbors))
        if number % 50 == 0 and sums.has(HUB)[0]:
            expected = values.sum(axis=0, dtype=np.float64) / neighbors
            np.testing.assert_allclose(sums.values[0] / neighbors, expected, atol=1e-6)
    assert 1 < taken <= DIFFERENCES / at_once / 2  # it was kept up, and taken afresh at times


def test_a_hub_that_lost_its_neighbors_is_as_exact_as_any_node() -> None:
    generator = np.random.default_rng(0)
    left = 20_000
    values: NDArray[np.float32] = generator.normal(1, 1, (left, WIDTH)).astype(np.float32)
    sums = KeptSums(WIDTH, 1)
    sums.keep(HUB, values.sum(axis=0, dtype=np.float32)[None])
    while left > 1:
        gone = max(1, left // 10)
        left -= gone
        sums.add(to_hub(gone), -values[left : left + gone], 1, of_degree(left))
        if not sums.has(HUB)[0]:
            sums.keep(HUB, values[:left].sum(axis=0, dtype=np.float32)[None])
        expected = values[:left].mean(axis=0, dtype=np.float64)
        np.testing.assert_allclose(sums.values[0] / left, expected, atol=1e-5)


@pytest.mark.parametrize("lists", [5, 100, 1_000])
def test_few_and_many_differences_go_to_the_same_sums(lists: int) -> None:
    """They are added up in three ways, by how many there are."""
    generator = np.random.default_rng(lists)
    total, degree = 3 * SUMS_A_STEP, 20
    indices = generator.integers(0, total, lists * degree).astype(np.int32)
    near = Adjacency(np.arange(lists + 1) * degree, indices)
    differences = generator.normal(size=(lists, WIDTH)).astype(np.float32)
    sums = KeptSums(WIDTH, total)
    kept = np.arange(total) % 7 > 0
    sums.keep(np.flatnonzero(kept), np.ones((int(kept.sum()), WIDTH), np.float32))
    expected = kept[:, None] * np.ones(WIDTH)
    np.add.at(expected, indices, np.repeat(differences, degree, axis=0))
    found = sums.add(near, differences, total, of_degree(100))
    assert found.tolist() == np.unique(indices).tolist()
    np.testing.assert_allclose(sums.values[kept], expected[kept], atol=1e-5)
    assert not sums.has(np.flatnonzero(~kept)).any()
    ways = [len(indices) <= FEW_SUMMANDS, len(found) <= SUMS_A_STEP]
    assert ways == {5: [True, True], 100: [False, True], 1_000: [False, False]}[lists]


def test_what_a_change_wrote_goes_with_it() -> None:
    sums = KeptSums(WIDTH, 2)
    sums.keep(np.array([0, 1]), np.ones((2, WIDTH), np.float32))
    sums.published()
    sums.add(to_hub(1), np.ones((1, WIDTH), np.float32), 2, of_degree(9))
    sums.take_back()
    assert sums.has(np.array([0, 1])).tolist() == [False, True]


def test_no_sum_takes_memory_before_it_is_taken() -> None:
    """A mapped page is there once it is written to, which `reserve` does not."""
    sums = KeptSums(WIDTH, 4)
    sums.keep(HUB, np.ones((1, WIDTH), np.float32))
    sums.reserve(1_000)
    assert sums.values[0].tolist() == [1] * WIDTH
    assert sums.has(np.arange(1_000)).sum() == 1


def own_memory() -> int:
    """Bytes that no file backs."""
    (line,) = (
        line
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        if line.startswith("RssAnon")
    )
    return 1_024 * int(line.split()[1])


def test_a_kept_sum_takes_a_small_page_of_memory_and_not_a_huge_one() -> None:
    sums, before = KeptSums(32, 500_000), own_memory()
    rows = np.arange(0, 500_000, 25_000)
    sums.keep(rows, np.ones((len(rows), 32), np.float32))
    assert own_memory() - before < 2_000_000  # 20 pages; huge ones would take 40 MB
    sums.reserve(600_000)
    assert sums.has(rows).all()
    assert sums.values[rows].min() == 1
    assert own_memory() - before < 10_000_000
