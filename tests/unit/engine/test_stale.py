"""Stale logits: every reader gets the values of a full computation, at every version."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from tests.bundles import TinyBundle
from tests.student_bundles import Array, hub_graph, incremental_of
from tests.unit.engine.changes import assert_exact
from tests.unit.engine.plain_students import (
    NOTHING,
    Feeds,
    full_logits,
    logits,
    plain_student,
    plain_writer,
    read,
    stale_ids,
)
from understudy.bundle.student import LOGITS_FILE
from understudy.engine import Engine, Node
from understudy.engine.errors import InferenceError, JournalFailedError
from understudy.engine.student import Student
from understudy.engine.updates import affected, deferred
from understudy.engine.updates.aggregated import LINEAR
from understudy.engine.updates.debts import largest
from understudy.engine.updates.writer import Writer
from understudy.graph import TextGraph, build_adjacency, string_array
from understudy.graph.errors import JournalError
from understudy.graph.layers.neighborhoods import Weighting
from understudy.graph.log.memory import MemoryLog
from understudy.graph.log.protocol import Record
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, RemoveEdge, UpsertNode

TOLERANCE = 1e-4
MANY = 1_000  # more than the graph has nodes
STUDENT = plain_student("mean", 2)


@pytest.fixture
def writer() -> Writer:
    return plain_writer(STUDENT, hub_graph())


def assert_right(writer: Writer) -> None:
    expected = full_logits(incremental_of(writer).student, writer.state)
    np.testing.assert_allclose(logits(writer.state), expected, atol=TOLERANCE)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("weighting", get_args(Weighting))
def test_every_held_version_answers_as_a_full_computation(
    weighting: Weighting, layers: int
) -> None:
    """Rows are stale in one version and not in the next, and the other way round."""
    student = plain_student(weighting, layers)
    writer = plain_writer(student, hub_graph())
    held = [(writer.state, full_logits(student, writer.state))]

    def apply(*batch: Mutation, at_once: int = 0) -> None:
        incremental_of(writer).logits_at_once = at_once
        writer.apply(batch)
        held.append((writer.state, full_logits(student, writer.state)))

    apply(UpsertNode("n5", "mail kernel"), UpsertNode("n130", "chess"))
    apply(UpsertNode("n5", "font"), at_once=MANY)
    apply(DeleteNode("n5"), DeleteNode("n130"))
    apply(UpsertNode("late", "mail kernel"), AddEdge("late", "n0"), UpsertNode("alone", NOTHING))
    writer.settle()
    held.append((writer.state, held[-1][1]))
    assert writer.state.stale is None
    apply(UpsertNode("late", "json"), RemoveEdge("late", "n0"), AddEdge("late", "n7"))
    apply(UpsertNode("n7", "parser"), at_once=MANY)
    assert {state.stale is None for state, _ in held} == {True, False}
    writer.settle()
    for state, expected in held:
        np.testing.assert_allclose(logits(state), expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_what_few_nodes_need_is_computed_and_the_rest_stays_stale(writer: Writer) -> None:
    writer.apply([UpsertNode("n5", "http"), UpsertNode("n130", "proxy")])
    before = stale_ids(writer.state)
    assert {"n0", "n5", "n130"} < before
    incremental_of(writer).logits_at_once = 30
    writer.apply([UpsertNode("n130", "chess")])
    assert {"n130"} <= before - stale_ids(writer.state) < before
    writer.apply([UpsertNode("n0", "chess")])  # of many neighbours
    assert stale_ids(writer.state) >= {"n0", "n5", "n6"}
    assert_right(writer)


@dataclass(frozen=True)
class Little:
    """What is aggregated, a little of it, beside the node's own or alone."""

    share: float
    own: float = 1.0
    inputs: tuple[str, ...] = ("h", "aggregated")

    def __call__(self, feeds: Feeds) -> Array:
        h, aggregated = (np.asarray(feeds[name], np.float32) for name in self.inputs)
        return np.asarray(self.own * h + self.share * aggregated, np.float32)


@pytest.mark.parametrize(
    ("weighting", "share"), [("sum", 2e-6), ("symmetric", 4e-4), ("mean", 4e-6)]
)
def test_what_many_neighbors_owe_one_node_adds_up_to_little(
    weighting: Weighting, share: float
) -> None:
    """Two nodes with the same 4,000 neighbours: the text of one moves each of these by less than
    wakes anybody, and all of them together the other one."""
    leaves, nodes = 4_000, 12_000  # the rest lie in a row, so that the change does not reach most
    pairs = [(hub, leaf) for hub in (0, 1) for leaf in range(2, leaves + 2)]
    pairs += [(node, node + 1) for node in range(leaves + 2, nodes - 1)]
    graph = TextGraph(
        name="between",
        ids=string_array(f"n{node}" for node in range(nodes)),
        texts=string_array(["mail", "kernel", *[NOTHING] * (nodes - 2)]),
        labels=np.zeros(nodes, np.int64),
        label_names=("a", "b"),
        adjacency=build_adjacency(nodes, np.array(pairs))[0],
        splits={},
    )
    student = Student(read, (Little(share), Little(1.0, own=0.0)), weighting)
    writer = plain_writer(student, graph, at_once=MANY**2)
    before = full_logits(student, writer.state)
    writer.apply([UpsertNode("n0", "proxy")])
    row = writer.state.rows(["n1"])
    expected = full_logits(student, writer.state)[row]
    np.testing.assert_allclose(writer.state.logits(row), expected, atol=2e-5)
    if weighting != "mean":
        assert np.abs(expected - before[row]).max() > TOLERANCE  # else nothing was asked


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("weighting", get_args(Weighting))
def test_a_hub_is_never_left(weighting: Weighting, layers: int) -> None:
    """Each who asks would sum up all of its neighbours; its sum is kept up from change to change,
    of one layer also by neighbours that do not wake it."""
    student = plain_student(weighting, layers)
    writer = plain_writer(student, hub_graph())
    incremental = incremental_of(writer)
    incremental.hub_neighbors = 20
    hubs = writer.state.rows(["n0", "n1"])
    for number in range(4):
        incremental.reach.debts.waking = 1e9 if (number, layers) == (2, 1) else 1e-5
        batch = [UpsertNode(f"n{n}", f"proxy {number}") for n in (2, 4, 5)]
        writer.apply(
            [*batch, AddEdge("n0", f"n{130 + number}"), RemoveEdge("n0", f"n{9 + number}")]
        )
        assert stale_ids(writer.state) >= {"n2", "n4"}
        assert stale_ids(writer.state).isdisjoint({"n0", "n1"})
        if weighting in LINEAR and number:
            assert incremental.reach.sums[-1].has(hubs).all()
        found = writer.state.tables.logits.newest(hubs)
        expected = full_logits(student, writer.state)[hubs]
        behind = np.abs(found - expected).max(axis=1)
        assert behind[0] < TOLERANCE  # the end of an edge that changed
        assert behind[1] < TOLERANCE or incremental.reach.debts.waking > 1
    writer.settle()
    assert_right(writer)


@pytest.mark.parametrize("weighting", ["mean", "sum", "symmetric"])
def test_a_sum_that_a_left_change_passed_by_is_taken_afresh(weighting: Weighting) -> None:
    """The hub owes its neighbours what it moved; none is marked, and each one's sum is another."""
    writer = plain_writer(plain_student(weighting, 1), hub_graph())
    incremental = incremental_of(writer)
    incremental.reach.debts.waking = 1e9
    incremental.logits_at_once = MANY
    writer.apply([UpsertNode("n5", "http")])  # its sum is kept from now on
    incremental.logits_at_once = 0
    writer.apply([UpsertNode("n0", "proxy")])
    assert stale_ids(writer.state) == {"n0"}
    incremental.logits_at_once = MANY
    writer.apply([UpsertNode("n5", "font")])
    row = writer.state.rows(["n5"])
    expected = full_logits(incremental.student, writer.state)[row]
    np.testing.assert_allclose(writer.state.logits(row), expected, atol=TOLERANCE)
    writer.settle()
    assert_right(writer)


def test_a_label_alone_touches_nothing(writer: Writer) -> None:
    writer.apply([UpsertNode("n0", label="b"), UpsertNode("n3", label="a")])
    assert writer.state.stale is None


@pytest.mark.parametrize("weighting", get_args(Weighting))
@pytest.mark.parametrize("at_once", [0, MANY])
@pytest.mark.parametrize(("name", "again"), [("n3", "n3"), ("added", "again")])
def test_a_row_that_is_used_again_is_computed_again(
    weighting: Weighting, at_once: int, name: str, again: str
) -> None:
    """Its logits were stale when its node went; the new node has the very text that stood there."""
    writer = plain_writer(plain_student(weighting, 2), hub_graph())
    writer.apply([UpsertNode("added", "http")])
    row = writer.state.graph.row_of(name)
    writer.apply([UpsertNode(name, "proxy chess"), UpsertNode("other", "http")])
    assert name in stale_ids(writer.state)
    writer.apply([DeleteNode(name)])
    assert stale_ids(writer.state).isdisjoint({"", name})
    incremental_of(writer).logits_at_once = at_once
    writer.apply([UpsertNode(again, "proxy chess")])
    assert writer.state.graph.row_of(again) == row
    assert_right(writer)


class LimitedJournal(MemoryLog):
    """Takes no record that deletes a node."""

    def append(self, records: Sequence[Record]) -> None:
        if any(b"delete" in record.payload for record in records):
            raise JournalError("the disk is gone")
        super().append(records)


@pytest.mark.parametrize("at_once", [0, MANY])
def test_a_change_that_fails_takes_its_marks_back(writer: Writer, at_once: int) -> None:
    """Those that it made, and those that it would have cleared."""
    writer.log = LimitedJournal()
    for marked in (set(), {"n3"}):
        before, known = stale_ids(writer.state), logits(writer.state)
        assert before >= marked
        incremental_of(writer).logits_at_once = at_once
        with pytest.raises(JournalFailedError, match="the disk is gone"):
            writer.apply([UpsertNode("n0", "proxy"), DeleteNode("n7")])
        assert stale_ids(writer.state) == before
        np.testing.assert_array_equal(logits(writer.state), known)
        incremental_of(writer).logits_at_once = 0
        writer.apply([UpsertNode("n3", "proxy")])
    writer.settle()
    assert writer.state.stale is None
    assert_right(writer)


def test_settling_goes_on_where_it_was_interrupted(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferred, "SETTLED_ROWS", 3)
    writer.apply([UpsertNode("n0", "proxy")])
    all_of_them = stale_ids(writer.state)
    writer.settle(interrupted=iter([False, True]).__next__)
    assert len(all_of_them - stale_ids(writer.state)) == 3
    writer.apply([UpsertNode("n0", "kernel")])  # rows that were looked through are stale again
    assert stale_ids(writer.state) == all_of_them
    writer.settle()
    assert writer.state.stale is None
    assert_right(writer)


def test_what_waits_is_computed_though_changes_come(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferred, "SETTLED_ROWS", 3)
    writer.apply([UpsertNode("n0", "proxy")])
    waited = incremental_of(writer).waiting
    pieces: list[int] = []

    def change() -> bool:
        """A change in every rest, each of which makes all of them wait again."""
        writer.apply([UpsertNode("n0", f"kernel {len(pieces)}")])
        pieces.append(incremental_of(writer).waiting)
        return False

    writer.answer_waiting(rest=change)
    assert pieces == [waited] * -(-waited // 3)  # as many as waited at first, then it ends
    writer.answer_waiting(rest=lambda: True)  # as where the engine is closed
    assert incremental_of(writer).waiting == waited - 3
    writer.answer_waiting(rest=lambda: False)
    assert writer.state.stale is None
    assert_right(writer)


def test_logits_that_are_not_finite_are_refused_and_in_no_others_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A change that computes them is refused; one that leaves them says so when they are read."""
    monkeypatch.setattr(deferred, "SETTLED_ROWS", 3)
    last = STUDENT.layers[-1]

    class Failing:
        """Gives NaN for one node."""

        inputs = ("h", "aggregated")

        def __call__(self, feeds: Feeds) -> Array:
            hit = (np.asarray(feeds["h"]) == odd).all(axis=1)[:, None]
            return np.where(hit, np.float32(np.nan), last(feeds))

    odd = np.full(6, np.inf)
    failing = replace(STUDENT, layers=(*STUDENT.layers[:-1], Failing()))
    writer = plain_writer(failing, hub_graph())
    writer.apply([UpsertNode("n0", "proxy")])
    name = max(stale_ids(writer.state))
    row = writer.state.rows([name])
    odd = writer.state.activations(1, row)[0]
    with pytest.raises(InferenceError, match="no finite score for a stored node"):
        writer.state.best_labels(row)
    while len(stale_ids(writer.state)) > 3:  # each round meets it once
        with pytest.raises(InferenceError, match="not finite"):
            writer.settle()
    assert name in stale_ids(writer.state)
    others = writer.state.graph.live_rows()
    assert np.isfinite(writer.state.logits(others[~np.isin(others, row)])).all()
    incremental_of(writer).logits_at_once = MANY
    with pytest.raises(InferenceError, match="not finite"):
        writer.apply([UpsertNode("n0", "kernel"), UpsertNode("n0", "proxy"), DeleteNode("n2")])


def test_a_last_layer_that_fails_when_logits_are_read_says_so(writer: Writer) -> None:
    class Broken:
        inputs = ("h", "aggregated")

        def __call__(self, feeds: Feeds) -> Array:
            raise RuntimeError("out of memory")

    writer.apply([UpsertNode("n0", "proxy")])
    state = writer.state
    assert state.stale is not None
    broken = replace(state, stale=replace(state.stale, layer=Broken()))
    with pytest.raises(InferenceError, match="last layer failed on a stored node"):
        broken.best_labels(state.rows([max(stale_ids(state))]))


def test_what_a_change_moves_is_told_exactly_up_to_what_wakes_a_node() -> None:
    differences = np.array([[0.9, -0.9, 0.9, 0.9], [0, -3, 0, 0], [0, 0, 0, 0]], np.float32)
    np.testing.assert_allclose(largest(differences, enough=1.0), [0.9, 1.5, 0])
    np.testing.assert_allclose(largest(differences, enough=2.0), [0.9, 3, 0])
    assert largest(np.empty((2, 0), np.float32), enough=1.0).tolist() == [0, 0]


def test_a_snapshot_and_a_restart_keep_no_stale_logits(
    tiny_bundle: TinyBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change may come between settling and writing; the log may hold one that reaches many."""
    monkeypatch.setattr(affected, "LOGITS_AT_ONCE", 0)
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        engine.maintenance.close()
        engine.apply([UpsertNode("node-0", "proof"), DeleteNode("node-7")])
        assert "node-0" in stale_ids(engine.state)
        first = full_logits(engine.student, engine.state)[:1]
        np.testing.assert_allclose(engine.logits([Node(id="node-0")]), first, atol=1e-5)
        assert engine.snapshots is not None
        engine.snapshots.write()
        stored = np.load(tmp_path / "snapshot-1" / LOGITS_FILE)
        np.testing.assert_allclose(stored, full_logits(engine.student, engine.state), atol=1e-5)
        engine.apply([UpsertNode("node-0", "atom")])
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        assert engine.state.stale is not None
        assert engine.maintenance.thread is not None  # they are computed though no change comes
        assert_exact(engine, tiny_bundle)
        engine.settle()
        assert engine.state.stale is None
        assert_exact(engine, tiny_bundle)
