"""Values of wrong types are reported by name, and never accepted as something else."""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bundles import LABELS, NODES, TinyBundle
from understudy.engine import Engine, EngineError, Limits, Node
from understudy.engine.errors import InvalidArgumentError, MutationRefusedError
from understudy.engine.explanations import explain
from understudy.graph.log.streams.options import RedisLogOptions
from understudy.graph.mutations import AddEdge, DeleteNode, UpsertNode

NUMBER: Any = 5
BYTES: Any = b"node-1"
TEXT: Any = "node-1"


@pytest.fixture(scope="module")
def engine(tiny_bundle: TinyBundle) -> Iterator[Engine]:
    with Engine.open(tiny_bundle.folder) as opened:
        yield opened


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (TEXT, "nodes is a str; give a list of Nodes"),
        (NUMBER, "nodes is a int"),
        (Node(id="node-1"), "nodes is a Node"),
        ({"id": "node-1"}, "nodes is a dict"),
        (["node-1"], r"nodes\[0\] is a str; give Nodes, such as Node\(id="),
        ([Node(id="node-1"), {"id": "node-1"}], r"nodes\[1\] is a dict"),
        ([Node(id=NUMBER)], r"nodes\[0\].id is 5; give a str, or None"),
        ([Node(text=NUMBER)], r"nodes\[0\].text is 5"),
        ([Node(text=BYTES)], r"nodes\[0\].text is b'node-1'"),
        # One text as neighbours would be its characters, each of which may be an id.
        ([Node(text="http", neighbors=TEXT)], r"nodes\[0\].neighbors is a str; give a list of ids"),
        ([Node(text="http", neighbors=NUMBER)], r"nodes\[0\].neighbors is a int"),
        ([Node(text="http", neighbors=(NUMBER,))], r"nodes\[0\].neighbors\[0\] is 5; give a str"),
    ],
)
def test_nodes_of_another_type_are_named(engine: Engine, nodes: Any, message: str) -> None:
    for asked in (engine.classify, engine.logits, lambda given: explain(engine, given)):
        with pytest.raises(InvalidArgumentError, match=message):
            asked(nodes)


def test_nodes_may_come_from_anything_that_can_be_gone_through(engine: Engine) -> None:
    names = ("node-1", "node-2")
    found = engine.classify(Node(id=name) for name in names)  # type: ignore[arg-type]
    assert found == engine.classify([Node(id=name) for name in names])


@pytest.mark.parametrize("top_k", ["3", 2.5, None])
def test_a_number_of_labels_is_whole(engine: Engine, top_k: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"top_k is .*; give a whole number"):
        engine.classify([Node(id="node-1")], top_k)
    assert len(engine.classify([Node(id="node-1")], np.int64(2))[0].top) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mutations", "message"),
    [
        (UpsertNode("new", "http"), "mutations is a UpsertNode; give a list of UpsertNode, "),
        (TEXT, "mutations is a str"),
        ([{"kind": "delete_node", "id": "node-1"}], r"mutations\[0\] is a dict; give UpsertNode"),
        ([UpsertNode("new", "http"), None], r"mutations\[1\] is a NoneType"),
        ([DeleteNode(NUMBER)], r"mutations\[0\].id is 5; give a str$"),
        ([UpsertNode(BYTES, "http")], r"mutations\[0\].id is b'node-1'"),
        ([UpsertNode("new", NUMBER)], r"mutations\[0\].text is 5; give a str, or None"),
        ([UpsertNode("new", "http", NUMBER)], r"mutations\[0\].label is 5"),
        ([AddEdge("node-1", NUMBER)], r"mutations\[0\].target is 5; give a str$"),
    ],
)
def test_changes_of_another_type_are_named_and_nothing_is_done(
    engine: Engine, mutations: Any, message: str
) -> None:
    for change in (engine.apply, engine.submit):
        with pytest.raises(InvalidArgumentError, match=message):
            change(mutations)
    with pytest.raises(InvalidArgumentError, match="key is 5; give a str, or None"):
        engine.apply([DeleteNode("node-1")], NUMBER)
    assert engine.state.version == 0


def test_changes_may_come_from_anything_that_can_be_gone_through(tiny_bundle: TinyBundle) -> None:
    with Engine.open(tiny_bundle.folder) as engine:
        deleted = (DeleteNode(f"node-{number}") for number in (1, 2))
        assert engine.apply(deleted).version == 1  # type: ignore[arg-type]
        assert engine.state.graph.row_of("node-2") is None
        with pytest.raises(MutationRefusedError, match="at least one"):
            engine.apply([])


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"folder": NUMBER}, "folder is 5; give a path"),
        ({"data": NUMBER}, "data is 5; give a path"),
        ({"folder": ""}, "folder is empty; give a path"),
        ({"data": ""}, "data is empty; give a path, or leave it out"),
        ({"data": "s3://bucket/data"}, "data: s3://bucket/data is a URL"),
        ({"threads": "2"}, "threads is '2'; give a whole number"),
        ({"limits": {"neighbors": 3}}, "limits is a dict; give Limits, or None"),
        ({"limits": Limits(neighbors=-1)}, "limits.neighbors is -1; give 0 or more"),
        ({"limits": Limits(nodes=NUMBER / 2)}, "limits.nodes is 2.5; give a whole number"),
        ({"log": "redis://:secret@host"}, "log is a str; give RedisLogOptions, or None"),
        ({"log": RedisLogOptions("redis://host")}, "needs a data folder"),
    ],
)
def test_what_no_engine_is_opened_with_is_named(
    tiny_bundle: TinyBundle, named: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as refused:
        Engine.open(**{"folder": tiny_bundle.folder, **named})
    assert "secret" not in str(refused.value)
    assert isinstance(refused.value, EngineError)


def test_rows_are_asked_for_by_ids_and_labels_by_rows(engine: Engine) -> None:
    state, wrong = engine.state, "rows must be an array of int64"
    with pytest.raises(InvalidArgumentError, match="node_ids is a str"):
        state.rows("node-1")
    rows = state.rows(["node-1", "node-2", "node-3"])
    others: tuple[Any, ...] = (rows.tolist(), rows.astype(np.int32))
    for other in others:
        with pytest.raises(InvalidArgumentError, match=wrong):
            state.best_labels(other)
    assert len(state.best_labels(rows)) == 3
    with pytest.raises(InvalidArgumentError, match="version is 'x'"):
        engine.reach("x")  # type: ignore[arg-type]


def test_texts_of_other_string_types_are_logged_as_plain_ones(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    class Topic(str, Enum):  # noqa: UP042  what `str` shows of it is not its text
        GAMES = "games"

    name, text = np.array(["new", "sprite level"])
    with Engine.open(tiny_bundle.folder, data=tmp_path / "data") as engine:
        engine.apply([UpsertNode(name, text, Topic.GAMES), AddEdge(name, np.str_("node-1"))])
        assert engine.state.rows(["new"]).tolist() == [NODES]
    with Engine.open(tiny_bundle.folder, data=tmp_path / "data") as engine:
        graph = engine.state.graph
        assert (graph.id(NODES), graph.text(NODES)) == ("new", "sprite level")
        assert graph.label(NODES) == LABELS.index("games")
        assert graph.neighbors(NODES).tolist() == [1]
