"""Changes under load, with failures, across restarts."""

import logging
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.bundles import LABELS, NODES, TinyBundle, reference_activations, rewrite
from understudy.bundle import BundleDamagedError, open_bundle, write_bundle
from understudy.bundle.student import activation_file
from understudy.engine import Applied, Engine, Limits, Node
from understudy.engine.errors import (
    InferenceError,
    JournalFailedError,
    KeyReusedError,
    MutationRefusedError,
    MutationTargetError,
    NotReadyError,
)
from understudy.engine.snapshots import PREFIX
from understudy.graph.errors import JournalError, JournalForeignError, JournalLockedError
from understudy.graph.journal import MemoryJournal, Record
from understudy.graph.materialize import to_text_graph
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, RemoveEdge, UpsertNode

ALONE = f"node-{NODES - 1}"  # it has no neighbour


@pytest.fixture
def engine(tiny_bundle: TinyBundle) -> Engine:
    return Engine.open(tiny_bundle.folder)


def assert_exact(engine: Engine, bundle: TinyBundle) -> None:
    """The stored logits are those of a computation on the graph as it is."""
    state = engine.state
    expected = reference_activations(bundle.weights, to_text_graph(state.graph))[-1]
    np.testing.assert_allclose(state.logits(state.graph.live_rows()), expected, atol=1e-4)


def ids_of(engine: Engine) -> set[str]:
    graph = engine.state.graph
    return {graph.id(row) for row in graph.live_rows().tolist()}


class HeldJournal(MemoryJournal):
    """Holds the first group back until it is let go; remembers the size of every group."""

    def __init__(self) -> None:
        super().__init__()
        self.held, self.go = Event(), Event()
        self.groups: list[int] = []

    def append(self, records: Sequence[Record]) -> None:
        self.held.set()
        self.go.wait()
        self.groups.append(len(records))
        super().append(records)


class BrokenJournal(MemoryJournal):
    """Refuses while it is broken."""

    broken = True

    def append(self, records: Sequence[Record]) -> None:
        if self.broken:
            raise JournalError("the disk is gone")
        super().append(records)


def test_what_waits_is_carried_out_as_one_group(tiny_bundle: TinyBundle, engine: Engine) -> None:
    journal = HeldJournal()
    engine.writer.journal = journal

    def add(number: int) -> int:
        if number == 5:
            with pytest.raises(MutationTargetError):
                engine.apply([UpsertNode("gone", "json"), AddEdge("gone", "nobody")])
            return 0
        name = f"new-{number}"
        batch: list[Mutation] = [UpsertNode(name, f"http {number}"), AddEdge(name, "node-0")]
        return engine.apply(batch).version

    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(add, 0)
        journal.held.wait()
        others = [pool.submit(add, number) for number in range(1, 12)]
        while len(engine.writer.waiting) < 11:
            assert not first.done()
        journal.go.set()
        versions = sorted(future.result() for future in [first, *others])
    assert versions == list(range(12))  # 0 stands for the refused one
    assert journal.groups == [1, 10]
    assert engine.state.version == 11
    assert "gone" not in ids_of(engine)
    assert_exact(engine, tiny_bundle)


def test_a_journal_that_fails_leaves_everything_as_it_was(
    tiny_bundle: TinyBundle, engine: Engine
) -> None:
    journal = engine.writer.journal = BrokenJournal()
    before = engine.state
    with pytest.raises(JournalFailedError, match="the disk is gone"):
        engine.apply([UpsertNode("new", "json"), DeleteNode("node-0")], key="mine")
    assert engine.state.version == before.version == 0
    assert "new" not in ids_of(engine)
    np.testing.assert_array_equal(
        engine.state.logits(np.arange(NODES)), before.logits(np.arange(NODES))
    )
    journal.broken = False
    assert engine.apply([UpsertNode("new", "json"), DeleteNode("node-0")], key="mine").version == 1
    assert_exact(engine, tiny_bundle)


def failing_on(word: str, engine: Engine) -> None:
    """Lets the engine's text network give NaN for texts with a word."""
    student = engine.student

    def fails(texts: Sequence[str]) -> NDArray[np.float32]:
        values = student.text_input(texts)
        return np.where([[word in text] for text in texts], np.float32(np.nan), values)

    engine.writer.incremental.student = replace(student, text_input=fails)


def held_group(engine: Engine, batches: Sequence[Sequence[Mutation]]) -> list[Future[Applied]]:
    """Batches that wait together until all are there."""
    with engine.writer.lock:
        return [engine.submit(batch) for batch in batches]


def test_a_batch_that_fails_takes_no_other_of_its_group_with_it(
    tiny_bundle: TinyBundle, engine: Engine
) -> None:
    failing_on("boom", engine)
    batches: list[list[Mutation]] = [
        [UpsertNode(f"new-{n}", "boom" if n in (1, 3) else "json"), AddEdge(f"new-{n}", "node-0")]
        for n in range(5)
    ]
    outcomes = held_group(engine, batches)
    errors = [outcome.exception(60) for outcome in outcomes]
    failed = [number for number in range(5) if isinstance(errors[number], InferenceError)]
    assert failed == [1, 3]
    assert errors[1] is not errors[3]
    assert [outcomes[n].result().version for n in (0, 2, 4)] == [1, 2, 3]
    assert ids_of(engine) >= {"new-0", "new-2", "new-4"}
    assert not ids_of(engine) & {"new-1", "new-3"}
    assert_exact(engine, tiny_bundle)


class LimitedJournal(MemoryJournal):
    """Has room for small records only."""

    def append(self, records: Sequence[Record]) -> None:
        if sum(len(record.payload) for record in records) > 1_000:
            raise JournalError("no room")
        super().append(records)


def test_a_batch_that_the_disk_has_no_room_for_fails_alone(engine: Engine) -> None:
    engine.writer.journal = LimitedJournal()
    texts = ["json", "http " * 400, "json"]
    outcomes = held_group(engine, [[UpsertNode(f"n{i}", text)] for i, text in enumerate(texts)])
    first, large, last = outcomes
    assert isinstance(large.exception(60), JournalFailedError)
    assert (first.result(60).version, last.result(60).version) == (1, 2)


def test_as_many_batches_as_wait_share_a_commit(engine: Engine) -> None:
    """Whoever waits on an event loop takes no thread of a pool."""
    journal = HeldJournal()
    engine.writer.journal = journal
    outcomes = [engine.submit([UpsertNode("first", "json")])]
    journal.held.wait()
    outcomes += [engine.submit([UpsertNode(f"new-{n}", "json")]) for n in range(240)]
    journal.go.set()
    assert [outcome.result(60).version for outcome in outcomes] == list(range(1, 242))
    assert journal.groups == [1, 240]


def test_a_batch_that_nobody_waits_for_any_more_is_not_begun(engine: Engine) -> None:
    with engine.writer.lock:
        kept, given_up = (engine.submit([UpsertNode(name, "json")]) for name in ("a", "b"))
        assert given_up.cancel()
    assert kept.result(60).version == 1
    engine.apply([UpsertNode("c", "json")])
    assert engine.state.version == 2
    assert "b" not in ids_of(engine)


def test_a_sealed_writer_finishes_what_runs_and_refuses_the_rest(engine: Engine) -> None:
    journal = HeldJournal()
    writer = engine.writer
    writer.journal = journal
    running = engine.submit([UpsertNode("running", "json")])
    journal.held.wait()
    waiting = engine.submit([UpsertNode("waiting", "json")])
    writer.seal()
    with pytest.raises(NotReadyError) as refused:
        engine.apply([UpsertNode("late", "json")])
    assert refused.value.retry_after == 1.0
    journal.go.set()
    writer.pause()
    assert engine.state.version == running.result(60).version == 1
    assert isinstance(waiting.exception(60), NotReadyError)
    writer.unseal()
    assert engine.apply([UpsertNode("late", "json")]).version == 2


def test_a_closed_engine_takes_no_more_changes(tiny_bundle: TinyBundle) -> None:
    engine = Engine.open(tiny_bundle.folder)
    done = engine.submit([UpsertNode("new", "json")])
    engine.close()
    assert done.result(0).version == 1
    with pytest.raises(NotReadyError, match="closed"):
        engine.submit([UpsertNode("late", "json")])
    with pytest.raises(NotReadyError, match="closed"):
        engine.apply([UpsertNode("late", "json")])
    assert "late" not in ids_of(engine)


class InterruptedJournal(MemoryJournal):
    """Somebody presses Ctrl-C while it writes."""

    def append(self, records: Sequence[Record]) -> None:
        raise KeyboardInterrupt


def test_after_an_interruption_nothing_more_is_written(engine: Engine) -> None:
    """The journal may hold what the engine took back: only opening it again tells."""
    engine.writer.journal = InterruptedJournal()
    with pytest.raises(KeyboardInterrupt):
        engine.apply([DeleteNode("node-0")])
    assert "node-0" in ids_of(engine)
    with pytest.raises(JournalFailedError, match="open the engine again"):
        engine.apply([DeleteNode("node-0")])


def test_networks_that_fail_leave_everything_as_it_was(
    tiny_bundle: TinyBundle, engine: Engine
) -> None:
    failing_on("boom", engine)
    with pytest.raises(InferenceError, match="not finite"):
        engine.apply([DeleteNode("node-3"), UpsertNode("new", "boom"), AddEdge("new", "node-0")])
    assert engine.state.version == 0
    assert_exact(engine, tiny_bundle)
    engine.apply([DeleteNode("node-3"), UpsertNode("new", "json"), AddEdge("new", "node-0")])
    assert engine.state.version == 1
    assert_exact(engine, tiny_bundle)


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as the interpreter lets them."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("restless")
def test_readers_see_one_version_or_the_other(engine: Engine) -> None:
    """An edge comes and goes; whoever holds a state finds all of it in that state."""
    rows = np.arange(NODES)
    edge = ("node-0", ALONE)
    near = [engine.state.graph.neighbors(0).tolist()]
    logits = [engine.state.logits(rows)]
    engine.apply([AddEdge(*edge)])
    near.append(engine.state.graph.neighbors(0).tolist())
    logits.append(engine.state.logits(rows))
    problems: list[str] = []
    stop = Event()

    def read() -> None:
        while not stop.is_set():
            state = engine.state
            odd = state.version % 2
            for _ in range(3):
                if state.graph.neighbors(0).tolist() != near[odd]:
                    problems.append(f"neighbours of version {state.version}")
                if np.abs(state.logits(rows) - logits[odd]).max() > 1e-5:
                    problems.append(f"logits of version {state.version}")

    readers = [Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(150):
        engine.apply([RemoveEdge(*edge)])
        engine.apply([AddEdge(*edge)])
    stop.set()
    for reader in readers:
        reader.join()
    assert not problems


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


def fill(engine: Engine, first: int, count: int) -> None:
    for number in range(first, first + count):
        name = f"new-{number}"
        engine.apply([UpsertNode(name, f"json {number}"), AddEdge(name, f"node-{number % 9}")])


def test_a_snapshot_takes_the_place_of_the_records(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        fill(engine, 0, 5)
        engine.apply([DeleteNode("node-20")])
        engine.snapshot()
        assert [path.name for path in tmp_path.glob("snapshot-*")] == [f"{PREFIX}6"]
        fill(engine, 5, 3)
        engine.snapshot()
        fill(engine, 8, 2)
        assert (engine.writer.journal.start, engine.writer.journal.number) == (9, 11)
        ids = ids_of(engine)
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        assert engine.state.version == 11
        assert ids_of(engine) == ids
        assert engine.model_version == open_bundle(tiny_bundle.folder).manifest.version
        assert_exact(engine, tiny_bundle)
    assert [path.name for path in tmp_path.glob("snapshot-*")] == [f"{PREFIX}9"]
    changed = tmp_path / f"{PREFIX}9" / activation_file(0)
    changed.write_bytes(changed.read_bytes()[:-1] + b"\x01")
    with pytest.raises(BundleDamagedError, match="was changed"):
        Engine.open(tiny_bundle.folder, data=tmp_path)


def test_a_damaged_tail_is_cut_and_said(
    tiny_bundle: TinyBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        fill(engine, 0, 8)
        journal = engine.writer.journal
        journal.connection.execute(  # type: ignore[attr-defined]
            "UPDATE records SET payload = x'5b5d' WHERE number = 6"
        )
    with caplog.at_level(logging.ERROR), Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        assert engine.state.version == 5
        assert "after record 5" in caplog.text
        assert ids_of(engine) >= {"new-4"}
        assert "new-5" not in ids_of(engine)
        assert_exact(engine, tiny_bundle)


def test_one_data_folder_serves_one_engine_of_one_bundle(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with Engine.open(tiny_bundle.folder, data=data), pytest.raises(JournalLockedError):
        Engine.open(tiny_bundle.folder, data=data)
    other = Path(shutil.copytree(tiny_bundle.folder, tmp_path / "other"))
    rewrite(other, {activation_file(1): np.load(other / activation_file(1)) + np.float32(1e-6)})
    with pytest.raises(JournalForeignError, match="a folder of its own"):
        Engine.open(other, data=data)


def test_records_that_do_not_fit_the_graph_are_refused(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        engine.writer.journal.append([Record(1, None, b'[{"kind":"delete_node","id":"nobody"}]')])
    with pytest.raises(JournalFailedError, match="record 1 of the journal does not fit"):
        Engine.open(tiny_bundle.folder, data=tmp_path)


def test_a_bundle_without_activations_computes_them(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    shutil.copytree(tiny_bundle.folder, tmp_path / "copy")

    def without(target: Path) -> object:
        for name in ("graph", "student"):
            shutil.copytree(tmp_path / "copy" / name, target / name)
        return open_bundle(tiny_bundle.folder).manifest

    write_bundle(tmp_path / "bundle", without)  # type: ignore[arg-type]
    told: list[tuple[str, int, int]] = []
    engine = Engine.open(tmp_path / "bundle", progress=lambda *step: told.append(step))
    rows = np.arange(NODES)
    np.testing.assert_allclose(engine.state.logits(rows), tiny_bundle.logits, atol=1e-4)
    assert told[0] == ("Computing activations", 0, 3 * NODES)
    assert told[-1] == ("Computing activations", 3 * NODES, 3 * NODES)


def test_a_changed_array_is_noticed_before_the_engine_is_ready(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_bundle.folder, tmp_path / "bundle"))
    path = folder / activation_file(1)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleDamagedError, match="SHA-256"):
        Engine.open(folder)


def test_many_stored_nodes_are_looked_up_at_once(tiny_bundle: TinyBundle, engine: Engine) -> None:
    state = engine.state
    rows = state.rows(["node-3", "nobody", "node-0"])
    assert rows.tolist() == [3, -1, 0]
    expected = tiny_bundle.logits[[3, 0]].argmax(axis=1)
    np.testing.assert_array_equal(state.best_labels(rows[rows >= 0]), expected)
    assert state.best_labels(rows[:0]).tolist() == []
    with pytest.raises(IndexError, match=r"rows\[1\] is -1"):
        state.best_labels(rows)
    with pytest.raises(IndexError, match=rf"rows\[0\] is {NODES}"):
        state.best_labels(np.array([NODES]))
    engine.apply([DeleteNode("node-3")])
    engine.apply([UpsertNode("other", "sprite level score")])
    np.testing.assert_array_equal(state.best_labels(rows[rows >= 0]), expected)  # of its version
    assert engine.state.rows(["node-3", "other"]).tolist() == [-1, 3]


def test_what_is_done_when_idle(
    tiny_bundle: TinyBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("understudy.engine.engine.LISTS_KEPT", 2)
    monkeypatch.setattr("understudy.engine.engine.RECORDS_KEPT", 3)
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        fill(engine, 0, 8)
        engine.maintain()
        assert not engine.state.graph.parts.lists.current
        assert engine.writer.journal.start == 8
        assert_exact(engine, tiny_bundle)
