"""Pages of nodes while the graph changes between them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.bundles import TinyBundle
from understudy.engine import Engine
from understudy.graph.mutable.listing import Listing, split_of
from understudy.graph.mutations import DeleteNode, UpsertNode


@pytest.fixture
def engine(tiny_bundle: TinyBundle) -> Engine:
    return Engine.open(tiny_bundle.folder)


def all_pages(
    engine: Engine,
    limit: int,
    label: int | None = None,
    split: str | None = None,
    between: Callable[[int], None] = lambda _: None,
) -> list[str]:
    """The ids of all pages, one after the other."""
    names: list[str] = []
    listing = Listing(engine.state.graph.parts.base)
    for number in range(1_000):
        view = engine.state.graph
        rows = listing.page(view, names[-1] if names else "", limit, label, split)
        if not rows:
            return names
        names += [view.id(row) for row in rows]
        between(number)
    raise AssertionError("the pages have no end")


@pytest.mark.parametrize("limit", [1, 7, 40, 100])
def test_every_node_is_in_one_page_in_the_order_of_ids(engine: Engine, limit: int) -> None:
    assert all_pages(engine, limit) == sorted(f"node-{node}" for node in range(40))


def test_what_is_there_all_the_while_is_listed_once_whatever_changes(engine: Engine) -> None:
    generator = np.random.default_rng(5)
    leaving = [f"node-{node}" for node in range(30, 40)]

    def change(number: int) -> None:
        if number < len(leaving):
            taken = leaving[int(generator.permutation(len(leaving))[0])]
            leaving.remove(taken)
            # The row that is given up is taken by a node with an id of another place.
            engine.apply([DeleteNode(taken), UpsertNode(f"a{number}-or-z", "a newcomer")])
            engine.apply([UpsertNode(f"z{number}", "a newcomer"), UpsertNode("node-3", "changed")])

    names = all_pages(engine, 4, between=change)
    assert len(names) == len(set(names))
    assert names == sorted(names)
    assert {f"node-{node}" for node in range(30)} <= set(names)


def test_labels_and_splits_are_of_the_graph_as_it_stands(engine: Engine) -> None:
    engine.apply(
        [
            UpsertNode("node-1", "relabelled", "games"),
            UpsertNode("late", "a newcomer", "games"),
            DeleteNode("node-2"),
        ]
    )
    games = {f"node-{node}" for node in range(40) if node % 4 == 2} - {"node-2"}
    assert set(all_pages(engine, 3, label=2)) == games | {"node-1", "late"}
    train = {f"node-{node}" for node in range(20)} - {"node-2"}
    assert set(all_pages(engine, 3, split="train")) == train  # newcomers are in none
    assert set(all_pages(engine, 3, 2, "train")) == (games & train) | {"node-1"}
    base = engine.state.graph.parts.base
    assert [split_of(base, row) for row in (0, 19, 20, 39)] == ["train", "train", "test", "test"]


def test_a_row_between_the_members_of_a_split_is_not_in_it(engine: Engine) -> None:
    splits = {"train": np.array([0, 2, 9]), "val": np.array([1]), "test": np.array([5])}
    base = replace(engine.state.graph.parts.base, splits=splits)
    found = [split_of(base, row) for row in (0, 1, 2, 3, 5, 9, 10)]
    assert found == ["train", "val", "train", None, "test", "train", None]


def test_a_page_begins_behind_any_text(engine: Engine) -> None:
    view = engine.state.graph
    rows = Listing(view.parts.base).page(view, "node-38zzz", 5, None, None)
    assert [view.id(row) for row in rows] == ["node-39", "node-4", "node-5", "node-6", "node-7"]
    assert Listing(view.parts.base).page(view, "o", 5, None, None) == []
