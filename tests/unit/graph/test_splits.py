from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.graph import BadInputError, TextGraph, check_split, random_split
from understudy.graph.splits import SPLIT_NAMES

labels_and_groups = st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 12)), max_size=80)
FRACTIONS = [(0.6, 0.2, 0.2), (0.8, 0.0, 0.2), (0.5, 0.5, 0.0), (1.0, 0.0, 0.0)]


@given(labels_and_groups, st.booleans(), st.sampled_from(FRACTIONS), st.integers(0, 3))
def test_parts_are_disjoint_cover_the_labelled_and_keep_groups(
    pairs: list[tuple[int, int]], grouped: bool, fractions: tuple[float, float, float], seed: int
) -> None:
    labels = np.array([label for label, _ in pairs], dtype=np.int64)
    groups = np.array([group for _, group in pairs], dtype=np.int64) if grouped else None
    splits = random_split(labels, fractions, seed, groups)
    together = np.concatenate(list(splits.values()))
    assert sorted(together.tolist()) == np.flatnonzero(labels >= 0).tolist()
    assert all((np.diff(members) > 0).all() for members in splits.values())
    assert set(labels[splits["train"]].tolist()) == set(labels[labels >= 0].tolist())
    if groups is not None:
        parts = [set(groups[members].tolist()) for members in splits.values()]
        assert sum(map(len, parts)) == len(set.union(*parts))
    for name, fraction in zip(SPLIT_NAMES, fractions, strict=True):
        assert fraction or not len(splits[name])


def test_every_class_has_its_shares() -> None:
    labels = np.repeat([0, 1], [100, 1000])
    splits = random_split(labels)
    for name, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)):
        counts = np.bincount(labels[splits[name]])
        assert counts.tolist() == [100 * share, 1000 * share]


def test_large_groups_do_not_upset_the_shares() -> None:
    groups = np.repeat(np.arange(30), [100, 60, 40, *[4] * 27])
    splits = random_split(np.zeros(len(groups), np.int64), groups=groups)
    sizes = [len(splits[name]) / len(groups) for name in SPLIT_NAMES]
    assert np.allclose(sizes, [0.6, 0.2, 0.2], atol=0.02)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(("size", "expected"), [(1, [1, 0, 0]), (2, [1, 0, 1]), (3, [1, 1, 1])])
def test_tiny_classes(size: int, expected: list[int], grouped: bool) -> None:
    width = 2 if grouped else 1
    groups = np.repeat(np.arange(size), width)
    splits = random_split(np.zeros(width * size, np.int64), groups=groups)
    assert [len(splits[name]) // width for name in SPLIT_NAMES] == expected


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(
    ("fractions", "expected"),
    [((0.8, 0.0, 0.2), [2, 0, 1]), ((0.5, 0.5, 0.0), [2, 1, 0]), ((1.0, 0.0, 0.0), [3, 0, 0])],
)
def test_a_part_without_a_share_has_no_node(
    fractions: tuple[float, float, float], expected: list[int], grouped: bool
) -> None:
    width = 2 if grouped else 1
    groups = np.repeat(np.arange(3), width)
    splits = random_split(np.zeros(3 * width, np.int64), fractions, groups=groups)
    assert [len(splits[name]) // width for name in SPLIT_NAMES] == expected


def test_the_seed_decides() -> None:
    labels = np.zeros(100, np.int64)
    first, again, other = (random_split(labels, seed=seed)["test"] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("fractions", [(0.6, 0.2), (0.6, 0.6, 0.2), (0, 0.5, 0.5), (1.2, -0.2, 0)])
def test_fractions_must_be_shares(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="fractions"):
        random_split(np.zeros(9, np.int64), fractions)


def test_overlapping_splits_are_refused(small_graph: TextGraph) -> None:
    graph = replace(small_graph, splits={"train": np.array([0, 3]), "test": np.array([3])})
    with pytest.raises(BadInputError, match="'d' is in more than one split"):
        check_split(graph)


def test_a_label_that_train_lacks_is_refused_with_its_place(small_graph: TextGraph) -> None:
    graph = replace(small_graph, splits={"train": np.array([0]), "test": np.array([4])})
    with pytest.raises(BadInputError, match=r"nodes.csv:6: node 'e' has label 'right'.*in test"):
        check_split(graph, lambda node: f"nodes.csv:{node + 2}")
    with pytest.raises(BadInputError, match=r"give it to a node of train.*through the service"):
        check_split(graph)  # of a folder, which may hold a served graph


def test_a_good_split_passes(small_graph: TextGraph) -> None:
    check_split(small_graph)
