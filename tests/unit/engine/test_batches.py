"""Batches of changes: allowed items, their effect, and refusals that name the item."""

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
from understudy.engine.updates.tickets import Applied
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
        ([UpsertNode("a", " \n")], None, "must have a visible character"),
        ([UpsertNode("a", "\u200b\ufeff")], None, "text must have a visible character"),
        ([UpsertNode("a", "x", "nonsense")], None, f"no label 'nonsense'; it has {LABELS[0]}, "),
        ([UpsertNode("a", "x", LABELS[0].title())], None, f"did you mean '{LABELS[0]}'"),
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
    ("mutation", "words", "field"),
    [
        (DeleteNode("nobody"), "no stored node has the id 'nobody'", "mutations.1.id"),
        (AddEdge("node-1", "nobody"), "'nobody'", "mutations.1.target"),
        (RemoveEdge("node-1", ALONE), "are not linked", None),
    ],
)
def test_an_unknown_target_is_named(
    engine: Engine, mutation: Mutation, words: str, field: str | None
) -> None:
    with pytest.raises(MutationTargetError, match=f"mutation 1: .*{words}") as caught:
        engine.apply([UpsertNode("node-2", "json"), mutation])
    assert caught.value.details.get("position") == 1
    assert caught.value.details.get("field") == field


def test_what_is_none_stays(engine: Engine) -> None:
    engine.apply([UpsertNode("node-1", label=LABELS[3])])
    engine.apply([UpsertNode("node-1", "new words")])
    row = engine.state.graph.row_of("node-1")
    assert row is not None
    record = engine.state.graph.record(row)
    assert (record.text, LABELS[record.label]) == ("new words", LABELS[3])


def links(engine: Engine, node_id: str) -> list[str]:
    graph = engine.state.graph
    row = graph.row_of(node_id)
    assert row is not None
    return [graph.id(other) for other in graph.neighbors(row).tolist()]


def idle_batches(engine: Engine) -> list[list[Mutation]]:
    """Each leaves the tiny graph as it is."""
    row = engine.state.graph.row_of("node-1")
    assert row is not None
    text, other = engine.state.graph.text(row), links(engine, "node-1")[0]
    come_and_gone: list[Mutation] = [UpsertNode("a", "json"), AddEdge("a", "node-1")]
    return [
        [UpsertNode("node-1")],
        [UpsertNode("node-1", text), AddEdge(other, "node-1")],
        [AddEdge("node-1", other)] * 20,
        [RemoveEdge("node-1", other), AddEdge("node-1", other)],
        [AddEdge("node-1", ALONE), RemoveEdge("node-1", ALONE)] * 20,
        [UpsertNode("node-1", "other words"), UpsertNode("node-1", text)],
        [*come_and_gone, DeleteNode("a")],
    ]


@pytest.mark.parametrize("number", range(7))
def test_what_changes_nothing_makes_no_version(
    tiny_bundle: TinyBundle, tmp_path: Path, number: int
) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        batch = idle_batches(engine)[number]
        assert engine.apply(batch) == Applied(0, changed=False)
        assert engine.writer.log.number == 0
        # Under a key it is kept: by the time it is sent again, it would change something.
        assert engine.apply(batch, "mine") == Applied(1)
        engine.apply([UpsertNode("node-1", "later words")])
        assert engine.apply(batch, "mine") == Applied(1, repeated=True)
        assert engine.apply([UpsertNode("b", "json"), AddEdge("b", "node-1")]).version == 3
        assert_exact(engine, tiny_bundle)


def test_what_only_seems_to_change_nothing_is_done(engine: Engine) -> None:
    graph = engine.state.graph
    other = links(engine, "node-1")[0]
    row = graph.row_of("node-1")
    assert row is not None
    gone_and_back: list[Mutation] = [DeleteNode("node-1"), UpsertNode("node-1", graph.text(row))]
    assert engine.apply(gone_and_back) == Applied(1)
    assert other not in links(engine, "node-1")
    assert engine.apply([AddEdge("node-1", other), AddEdge(other, "node-1")]) == Applied(2)
    assert engine.apply([AddEdge("node-1", other)] * 19 + [RemoveEdge("node-1", other)]).changed
    assert other not in links(engine, "node-1")


def test_what_waits_together_is_done_in_its_order(engine: Engine) -> None:
    batches: list[list[Mutation]] = [
        [UpsertNode("a", "json")],
        [UpsertNode("a", "json")],
        [AddEdge("a", "node-1")],
        [AddEdge("node-1", "a")],
        [RemoveEdge("node-1", "a")],
    ]
    with engine.writer.lock:
        outcomes = [engine.submit(batch) for batch in batches]
    found = [outcome.result(60) for outcome in outcomes]
    assert [each.changed for each in found] == [True, False, True, False, True]
    assert engine.state.version == 3
    assert not links(engine, "a")


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
