"""Changes under load and with failures."""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from threading import Event, Thread

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.bundles import NODES, TinyBundle
from tests.student_bundles import incremental_of
from tests.unit.engine.changes import assert_exact, ids_of
from understudy.engine import Applied, Engine
from understudy.engine.errors import (
    InferenceError,
    JournalFailedError,
    MutationTargetError,
    NotReadyError,
)
from understudy.engine.updates.affected import LOGITS_AT_ONCE
from understudy.graph.errors import JournalError
from understudy.graph.log.memory import MemoryLog
from understudy.graph.log.protocol import Record
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, RemoveEdge, UpsertNode

ALONE = f"node-{NODES - 1}"  # it has no neighbour


@pytest.fixture
def engine(tiny_bundle: TinyBundle) -> Engine:
    return Engine.open(tiny_bundle.folder)


class HeldJournal(MemoryLog):
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


class BrokenJournal(MemoryLog):
    """Refuses while it is broken."""

    broken = True

    def append(self, records: Sequence[Record]) -> None:
        if self.broken:
            raise JournalError("the disk is gone")
        super().append(records)


def test_what_waits_is_carried_out_as_one_group(tiny_bundle: TinyBundle, engine: Engine) -> None:
    journal = HeldJournal()
    engine.writer.log = journal

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
    journal = engine.writer.log = BrokenJournal()
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

    incremental_of(engine.writer).student = replace(student, text_input=fails)


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


class LimitedJournal(MemoryLog):
    """Has room for small records only."""

    def append(self, records: Sequence[Record]) -> None:
        if sum(len(record.payload) for record in records) > 1_000:
            raise JournalError("no room")
        super().append(records)


def test_a_batch_that_the_disk_has_no_room_for_fails_alone(engine: Engine) -> None:
    engine.writer.log = LimitedJournal()
    texts = ["json", "http " * 400, "json"]
    outcomes = held_group(engine, [[UpsertNode(f"n{i}", text)] for i, text in enumerate(texts)])
    first, large, last = outcomes
    assert isinstance(large.exception(60), JournalFailedError)
    assert (first.result(60).version, last.result(60).version) == (1, 2)


def test_as_many_batches_as_wait_share_a_commit(engine: Engine) -> None:
    """Whoever waits on an event loop takes no thread of a pool."""
    journal = HeldJournal()
    engine.writer.log = journal
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


def test_what_waits_at_a_swap_is_carried_out_by_the_heir(tiny_bundle: TinyBundle) -> None:
    engine = Engine.open(tiny_bundle.folder)
    heir = Engine.open(tiny_bundle.folder, before=engine)
    journal = HeldJournal()
    journal.heirs.append(heir.writer.log)  # type: ignore[arg-type]
    engine.writer.log = journal
    running = engine.submit([UpsertNode("running", "json")])
    journal.held.wait()
    waiting = engine.submit([UpsertNode("waiting", "json")])
    with ThreadPoolExecutor(2) as pool:
        swapped = Event()
        swap = pool.submit(heir.take_over, engine, swapped.set)
        blocking = pool.submit(engine.apply, [UpsertNode("blocking", "json")])
        journal.go.set()
        assert swap.result(60) is None
        assert swapped.is_set()
        assert running.result(60).version == 1
        numbers = {waiting.result(60).version, blocking.result(60).version}
    assert engine.submit([UpsertNode("late", "json")]).result(60).version == 4
    assert numbers == {2, 3}
    assert ids_of(heir) >= {"running", "waiting", "blocking", "late"}
    assert_exact(heir, tiny_bundle)


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


class InterruptedJournal(MemoryLog):
    """Somebody presses Ctrl-C while it writes."""

    def append(self, records: Sequence[Record]) -> None:
        raise KeyboardInterrupt


def test_after_an_interruption_nothing_more_is_written(engine: Engine) -> None:
    """The journal may hold what the engine took back: only opening it again tells."""
    engine.writer.log = InterruptedJournal()
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
@pytest.mark.parametrize("at_once", [LOGITS_AT_ONCE, 0])
def test_readers_see_one_version_or_the_other(engine: Engine, at_once: int) -> None:
    """An edge comes and goes; whoever holds a state finds all of it in that state.

    Also where logits are stale in one version, and settled in the next.
    """
    incremental_of(engine.writer).logits_at_once = at_once
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
    for number in range(75):
        engine.apply([RemoveEdge(*edge)])
        if number % 3 == 0:
            engine.settle()
        engine.apply([AddEdge(*edge)])
    stop.set()
    for reader in readers:
        reader.join()
    assert not problems
