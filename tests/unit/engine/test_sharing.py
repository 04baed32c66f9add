"""Several engines on one data folder: all may write, and all reach the same graph."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.bundles import TinyBundle
from tests.student_bundles import incremental_of
from tests.unit.engine.changes import assert_exact, described, ids_of
from understudy.engine import Engine, Node
from understudy.engine.errors import (
    ChangeUnsureError,
    EngineError,
    InferenceError,
    JournalFailedError,
    KeyReusedError,
    MutationTargetError,
)
from understudy.engine.placing import JOURNAL_FILE
from understudy.engine.updates.tickets import Applied
from understudy.graph.errors import JournalError
from understudy.graph.log.protocol import Record
from understudy.graph.log.streams.options import RedisLogOptions
from understudy.graph.mutable.materialize import to_text_graph
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, RemoveEdge, UpsertNode

OpenEngine = Callable[[], Engine]
sqlite_alone = pytest.mark.parametrize("open_engine", ["sqlite"], indirect=True)


@pytest.fixture(params=["sqlite", "redis"])
def open_engine(
    request: pytest.FixtureRequest, tiny_bundle: TinyBundle, tmp_path: Path
) -> Iterator[OpenEngine]:
    engines: list[Engine] = []
    log = None
    if request.param == "redis":
        log = RedisLogOptions(request.getfixturevalue("redis").url, records_kept=0)

    def opened() -> Engine:
        engines.append(Engine.open(tiny_bundle.folder, data=tmp_path / "data", log=log))
        return engines[-1]

    yield opened
    for engine in engines:
        engine.close()


def meanwhile(engine: Engine, change: Callable[[], object]) -> None:
    """Has something happen once, when the engine has computed a group and not appended it yet."""
    log = engine.writer.log
    append = log.append

    def late(records: Sequence[Record]) -> None:
        log.append = append  # type: ignore[method-assign]
        change()
        append(records)

    log.append = late  # type: ignore[method-assign]


def assert_alike(one: Engine, other: Engine) -> None:
    """Same version, graph, keys and, to float tolerance, scores."""
    one.follow()
    other.follow()
    assert one.state.version == other.state.version
    found, expected = to_text_graph(one.state.graph), to_text_graph(other.state.graph)
    assert described(found) == described(expected)
    assert one.writer.keys.batches == other.writer.keys.batches
    names = found.ids.to_pylist()
    first, second = (e.state.logits(e.state.rows(names)) for e in (one, other))
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_each_writes_and_both_see_it(tiny_bundle: TinyBundle, open_engine: OpenEngine) -> None:
    one, other = open_engine(), open_engine()
    assert one.apply([UpsertNode("a", "json"), AddEdge("a", "node-0")]).version == 1
    assert other.apply([AddEdge("a", "node-1")]).version == 2  # knows what it builds on
    assert one.apply([DeleteNode("node-3")], "mine").version == 3
    assert other.apply([DeleteNode("node-3")], "mine") == Applied(3, repeated=True)
    assert_alike(one, other)
    assert_exact(one, tiny_bundle)
    assert_alike(other, open_engine())


def test_changes_of_others_become_visible_without_asking(open_engine: OpenEngine) -> None:
    one, other = open_engine(), open_engine()
    seen = Event()
    notice, writer = other.maintenance.notice, other.writer

    def noticed() -> None:
        notice()
        if writer.state.version == 1:
            seen.set()

    other.maintenance.notice = noticed  # type: ignore[method-assign]
    one.apply([UpsertNode("a", "json")])
    assert seen.wait(60)
    assert other.classify([Node(id="a")])[0].error is None


def test_who_comes_second_is_pushed_and_applied_once(
    tiny_bundle: TinyBundle, open_engine: OpenEngine
) -> None:
    one, other = open_engine(), open_engine()
    meanwhile(one, lambda: other.apply([UpsertNode("b", "http")]))
    assert one.apply([UpsertNode("a", "json"), AddEdge("a", "node-0")], "k") == Applied(2)
    assert ids_of(one) >= {"a", "b"}
    assert_alike(one, other)
    assert other.apply([UpsertNode("a", "json"), AddEdge("a", "node-0")], "k").repeated
    assert_exact(other, tiny_bundle)


def racing(open_engine: OpenEngine, mine: Mutation, theirs: Mutation, keys: str) -> EngineError:
    """How a change is refused that another one, which came first, leaves no room for."""
    one, other = open_engine(), open_engine()
    key, their_key = keys.split()
    meanwhile(one, lambda: other.apply([theirs], their_key))
    with pytest.raises(EngineError) as refused:
        one.apply([mine], key)
    assert one.state.version == 2  # the refused one is in the log, and changes nothing
    assert_alike(one, other)
    assert_alike(one, open_engine())
    assert one.apply([UpsertNode("more", "json")]).version == 3
    return refused.value


def test_a_change_that_lost_its_ground_is_refused_by_all_alike(open_engine: OpenEngine) -> None:
    error = racing(open_engine, AddEdge("node-39", "node-3"), DeleteNode("node-3"), "a b")
    assert isinstance(error, MutationTargetError)
    assert "mutation 0" in str(error)


def test_a_key_that_another_change_took_meanwhile_is_refused(open_engine: OpenEngine) -> None:
    error = racing(open_engine, UpsertNode("a", "json"), UpsertNode("b", "http"), "same same")
    assert isinstance(error, KeyReusedError)


def test_a_retry_that_races_with_the_first_try_is_applied_once(open_engine: OpenEngine) -> None:
    one, other = open_engine(), open_engine()
    batch = [UpsertNode("a", "json")]
    meanwhile(one, lambda: other.apply(batch, "same"))
    assert one.apply(batch, "same") == Applied(1, repeated=True)
    assert one.state.version == 2
    assert_alike(one, other)


def test_a_refused_key_may_be_used_again(open_engine: OpenEngine) -> None:
    one, other = open_engine(), open_engine()
    meanwhile(one, lambda: other.apply([DeleteNode("node-3")]))
    with pytest.raises(MutationTargetError):
        one.apply([AddEdge("node-39", "node-3")], "mine")
    assert other.apply([AddEdge("node-39", "node-4")], "mine") == Applied(3)
    assert_alike(one, other)


def test_what_waits_together_is_pushed_together(open_engine: OpenEngine) -> None:
    one, other = open_engine(), open_engine()
    meanwhile(one, lambda: other.apply([DeleteNode("node-3")]))
    with one.writer.lock:
        batches: list[Mutation] = [
            *(UpsertNode(f"n{number}", "json") for number in range(3)),
            AddEdge("node-39", "node-3"),
            UpsertNode("n3", "json"),
        ]
        outcomes = [one.submit([mutation]) for mutation in batches]
    found = [outcome.exception(60) or outcome.result().version for outcome in outcomes]
    assert [value for value in found if isinstance(value, int)] == [2, 3, 4, 6]
    assert isinstance(found[3], MutationTargetError)
    assert_alike(one, other)


def fail_on(engine: Engine, word: str) -> None:
    student = engine.student

    def fails(texts: Sequence[str]) -> NDArray[np.float32]:
        values = student.text_input(texts)
        return np.where([[word in text] for text in texts], np.float32(np.nan), values)

    incremental_of(engine.writer).student = replace(student, text_input=fails)


def test_networks_that_fail_on_one_process_leave_it_behind_and_nothing_else(
    tiny_bundle: TinyBundle, open_engine: OpenEngine
) -> None:
    one, other = open_engine(), open_engine()
    fail_on(other, "boom")
    with pytest.raises(InferenceError):
        other.apply([UpsertNode("a", "boom")])
    assert one.state.version == 0  # what its own process cannot compute never enters the log
    assert one.apply([UpsertNode("a", "boom")]).version == 1
    other.follow()
    assert isinstance(other.failure, InferenceError)
    assert other.state.version == 0
    assert other.classify([Node(id="node-1")])[0].error is None  # reads go on
    with pytest.raises(InferenceError):
        other.apply([UpsertNode("b", "json")])
    incremental_of(other.writer).student = other.student
    other.follow()
    assert other.failure is None
    assert other.apply([UpsertNode("b", "json")]).version == 2
    assert_alike(one, other)
    assert_exact(other, tiny_bundle)


def test_a_change_that_is_pushed_and_cannot_be_applied_here_says_so(
    open_engine: OpenEngine,
) -> None:
    one, other = open_engine(), open_engine()
    fail_on(one, "boom")
    meanwhile(one, lambda: other.apply([UpsertNode("a", "boom")]))
    with pytest.raises(ChangeUnsureError, match="send it again with the same key"):
        one.apply([UpsertNode("b", "json")], "mine")
    incremental_of(one.writer).student = one.student
    assert one.apply([UpsertNode("b", "json")], "mine") == Applied(2, repeated=True)
    assert_alike(one, other)


def test_snapshots_of_one_are_the_start_of_the_next(
    tiny_bundle: TinyBundle, tmp_path: Path, open_engine: OpenEngine
) -> None:
    one, other = open_engine(), open_engine()
    for number in range(3):
        one.apply([UpsertNode(f"a{number}", "json")], f"key-{number}")
    other.follow()
    one.snapshot()
    other.apply([AddEdge("a0", "node-0")])
    one.follow()
    other.snapshot()
    assert [path.name for path in (tmp_path / "data").glob("snapshot-*")] == ["snapshot-4"]
    one.apply([RemoveEdge("a0", "node-0")])
    third = open_engine()
    assert third.writer.log.start == 4
    assert third.apply([UpsertNode("a1", "json")], "key-1") == Applied(2, repeated=True)
    assert_alike(one, other)
    assert_alike(one, third)
    assert_exact(third, tiny_bundle)


@sqlite_alone
def test_a_snapshot_waits_for_who_is_behind(tmp_path: Path, open_engine: OpenEngine) -> None:
    one, other = open_engine(), open_engine()
    other.following.close()
    one.apply([UpsertNode("a", "json")])
    with pytest.raises(JournalFailedError, match="another process is at 0"):
        one.snapshot()
    assert [path.name for path in (tmp_path / "data").glob("snapshot-*")] == ["snapshot-0"]
    assert_alike(one, other)
    one.snapshot()
    assert one.writer.log.start == 1


@sqlite_alone
def test_a_snapshot_does_not_wait_for_who_made_the_changes(open_engine: OpenEngine) -> None:
    one, other = open_engine(), open_engine()
    one.apply([UpsertNode("a", "json")])
    other.follow()
    other.snapshot()
    assert other.writer.log.start == 1


def test_a_log_that_cannot_be_read_stops_changes_and_not_answers(open_engine: OpenEngine) -> None:
    one, other = open_engine(), open_engine()
    read = one.writer.log.read

    def broken(after: int) -> list[Record]:
        raise JournalError("the disk is gone")

    one.writer.log.read = broken  # type: ignore[method-assign]
    other.apply([UpsertNode("a", "json")])
    with pytest.raises(JournalFailedError, match="the disk is gone"):
        one.apply([UpsertNode("b", "json")])
    assert one.classify([Node(id="node-1")])[0].error is None
    one.writer.log.read = read  # type: ignore[method-assign]
    assert one.apply([UpsertNode("b", "json")]).version == 2
    assert_alike(one, other)


@sqlite_alone
def test_what_processes_leave_beside_the_log(tmp_path: Path, open_engine: OpenEngine) -> None:
    one, other = open_engine(), open_engine()
    one.close()
    other.close()
    names = {path.name.removeprefix(JOURNAL_FILE) for path in (tmp_path / "data").iterdir()}
    assert names == {"", ".lock", ".snapshots-lock", "snapshot-0"}
