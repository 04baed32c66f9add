"""What a batch of changes may hold, what it does, and what is refused by name."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.bundles import LABELS, NODES, TinyBundle
from tests.unit.engine.changes import assert_exact, ids_of
from understudy.engine import Engine, Limits, Node
from understudy.engine.errors import (
    JournalFailedError,
    KeyReusedError,
    MutationRefusedError,
    MutationTargetError,
)
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, RemoveEdge, UpsertNode

ALONE = f"node-{NODES - 1}"  # it has no neighbour


@pytest.fixture
def engine(tiny_bundle: TinyBundle) -> Engine:
    return Engine.open(tiny_bundle.folder)


@pytest.mark.parametrize("durable", [False, True])
def test_a_key_is_applied_once(tiny_bundle: TinyBundle, tmp_path: Path, durable: bool) -> None:
    data = tmp_path if durable else None
    batch = [UpsertNode("new", "json")]
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        assert engine.durable == durable
        first = engine.apply(batch, key="mine")
        assert (first.version, first.repeated) == (1, False)
        engine.apply([DeleteNode("new")], key="another")
        assert engine.apply(batch, key="mine") == replace(first, repeated=True)
        assert "new" not in ids_of(engine)
        with pytest.raises(KeyReusedError):
            engine.apply([UpsertNode("new", "other words")], key="mine")
    if durable:
        with Engine.open(tiny_bundle.folder, data=data) as engine:
            assert engine.apply(batch, key="mine") == replace(first, repeated=True)


@pytest.mark.parametrize(
    ("mutations", "key", "words"),
    [
        ([], None, "at least one"),
        ([UpsertNode("a", "x")], "", "idempotency key"),
        ([UpsertNode("a", "x")], "k" * 201, "idempotency key"),
        ([UpsertNode("a", "x")], "a\nb", "idempotency key"),
        ([UpsertNode("a", "x" * 1_001)], None, "more than 1,000 characters"),
        ([UpsertNode("a", "x"), UpsertNode("", "x")], None, "mutation 1: a node's id"),
        ([UpsertNode(" a", "x")], None, "begin or end"),
        ([UpsertNode("a\ud800", "x")], None, "half a character"),
        ([UpsertNode("a", "x\ud800")], None, "half a character"),
        ([UpsertNode("a")], None, "is new and needs a text"),
        ([UpsertNode("a", " \n")], None, "must not be empty"),
        ([UpsertNode("a", "x", "nonsense")], None, "no label 'nonsense'"),
        ([AddEdge("node-1", "node-1")], None, "linked to itself"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    tiny_bundle: TinyBundle, mutations: list[Mutation], key: str | None, words: str
) -> None:
    engine = Engine.open(tiny_bundle.folder, limits=Limits(text_characters=1_000))
    with pytest.raises(MutationRefusedError, match=words):
        engine.apply(mutations, key)
    assert engine.state.version == 0


@pytest.mark.parametrize(
    ("mutation", "words"),
    [
        (DeleteNode("nobody"), "no stored node has the id 'nobody'"),
        (AddEdge("node-1", "nobody"), "'nobody'"),
        (RemoveEdge("node-1", ALONE), "are not linked"),
    ],
)
def test_an_unknown_target_is_named(engine: Engine, mutation: Mutation, words: str) -> None:
    with pytest.raises(MutationTargetError, match=f"mutation 1: .*{words}") as caught:
        engine.apply([UpsertNode("node-2", "json"), mutation])
    assert caught.value.details == {"position": 1}


def test_what_is_none_stays(engine: Engine) -> None:
    engine.apply([UpsertNode("node-1", label=LABELS[3])])
    engine.apply([UpsertNode("node-1", "new words")])
    row = engine.state.graph.row_of("node-1")
    assert row is not None
    record = engine.state.graph.record(row)
    assert (record.text, LABELS[record.label]) == ("new words", LABELS[3])


def test_a_node_may_go_and_come_back_in_one_batch(tiny_bundle: TinyBundle, engine: Engine) -> None:
    engine.apply([DeleteNode("node-0"), UpsertNode("node-0", "json"), AddEdge("node-0", "node-1")])
    assert engine.state.graph.num_nodes == NODES
    row = engine.state.graph.row_of("node-0")
    assert row is not None
    assert [engine.state.graph.id(n) for n in engine.state.graph.neighbors(row)] == ["node-1"]
    assert_exact(engine, tiny_bundle)


def test_every_node_may_go(engine: Engine) -> None:
    engine.apply([DeleteNode(node_id) for node_id in sorted(ids_of(engine))])
    assert engine.state.graph.num_nodes == engine.state.graph.num_edges == 0
    engine.probe()
    (prediction,) = engine.classify([Node(text="json")])
    assert prediction.error is None
    with pytest.raises(JournalFailedError, match="data folder"):
        engine.snapshot()
