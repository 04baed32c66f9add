"""Search by words in a changing graph."""

import pytest

from tests.bundles import TinyBundle
from understudy.engine import Engine
from understudy.graph import TextGraph
from understudy.graph.mutable.search import Search, titles
from understudy.graph.mutable.store import GraphStore
from understudy.graph.mutations import DeleteNode, Mutation, UpsertNode


@pytest.fixture
def engine(tiny_bundle: TinyBundle) -> Engine:
    return Engine.open(tiny_bundle.folder)


def found(engine: Engine, query: str, limit: int = 10) -> list[str]:
    view = engine.state.graph
    rows = Search(view.parts.base).find(view, query, limit)
    return [view.id(row) for row in rows.tolist()]


def test_ids_go_first_the_same_one_before_those_that_it_begins(engine: Engine) -> None:
    assert found(engine, "Node-1", 3) == ["node-1", *found(engine, "node-1", 3)[1:]]
    assert all(name.startswith("node-1") for name in found(engine, "node-1", 11))
    assert found(engine, "de-39") == ["node-39"]


def test_every_word_must_be_somewhere_in_id_or_text(engine: Engine) -> None:
    editors = found(engine, "CURSOR text", 40)
    assert len(editors) == 10
    assert {int(name.removeprefix("node-")) % 4 for name in editors} == {1}
    assert found(engine, "cursor number5") == ["node-5"]
    assert found(engine, "cursor url") == []
    assert found(engine, "  ") == []
    assert len(found(engine, "number", 7)) == 7


def test_of_what_texts_tell_the_most_linked_nodes_go_first(engine: Engine) -> None:
    view = engine.state.graph
    degrees = [len(view.neighbors(view.row_of(name) or 0)) for name in found(engine, "http", 40)]
    assert degrees == sorted(degrees, reverse=True)
    assert degrees[0] > degrees[-1]


def test_changes_are_found_and_what_they_replaced_is_not(engine: Engine) -> None:
    before = engine.state.graph
    engine.apply(
        [
            UpsertNode("Violin", "an instrument\nwith four strings"),
            UpsertNode("node-5", "a cello"),
            DeleteNode("node-9"),
        ]
    )
    assert found(engine, "violin") == ["Violin"]
    assert found(engine, "strings four") == ["Violin"]
    assert found(engine, "cello") == ["node-5"]
    assert "node-5" not in found(engine, "cursor", 40)
    assert "node-9" not in found(engine, "node", 100)
    search = Search(before.parts.base)  # one who began before sees the graph as it was
    assert search.find(before, "number9", 1).tolist() == [9]
    assert search.find(before, "violin", 1).tolist() == []


@pytest.mark.parametrize("change", [UpsertNode("a", "a mule"), DeleteNode("a")])
def test_a_title_that_is_gone_hides_no_text_of_another_node(change: Mutation) -> None:
    texts = ["zebra stripes", "a horse\nlike a zebra", "a cow"]
    graph = TextGraph.from_arrays(texts, [("a", "b")], ids=["a", "b", "c"], labels=["x", "y", "y"])
    store = GraphStore(graph)
    draft = store.draft()
    draft.apply([change])
    view, _ = store.write(draft, store.begin(), 1)
    assert Search(graph).find(view, "zebra", 1).tolist() == [1]


@pytest.mark.parametrize("query", ["caf\u00e9", "cafe\u0301", "CAF\u00c9"])
def test_what_looks_the_same_is_found_however_it_is_written(engine: Engine, query: str) -> None:
    engine.apply([UpsertNode("caf\u00e9-1", "a"), UpsertNode("cafe\u0301-2", "b")])
    engine.apply([UpsertNode("bar", "le cafe\u0301")])
    assert found(engine, query) == ["caf\u00e9-1", "cafe\u0301-2", "bar"]


def test_titles_are_first_lines_and_cut(engine: Engine) -> None:
    engine.apply([UpsertNode("long", "x" * 300 + "\nmore"), UpsertNode("short", "one\ntwo")])
    view = engine.state.graph
    rows = [row for name in ("long", "short") if (row := view.row_of(name)) is not None]
    assert titles(view, rows, characters=10) == ["x" * 10, "one"]
