"""The path of a change through the log, with crashes between any two steps.

Several simulated processes run the real code on one log. Each may end at any step of appending,
applying, writing a snapshot, shortening the log, loading a bundle anew, storing a snapshot and
starting from a stored one; a client whose process ended sends its change again, to any other. What
was acknowledged stays, what was sent again is done once, and all processes come to the same graph.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.bundles import TinyBundle, reference_activations
from tests.unit.engine.changes import described
from understudy.bundle import Manifest, open_bundle
from understudy.engine import snapshots as snapshots_module
from understudy.engine.beginnings import open_snapshot
from understudy.engine.errors import JournalFailedError, MutationTargetError
from understudy.engine.opening import Opening, assemble, open_heir, open_parts
from understudy.engine.snapshots import Snapshots
from understudy.engine.stored import SnapshotStore
from understudy.engine.updates.tickets import Applied
from understudy.engine.updates.writer import Writer
from understudy.engine.uploads import Uploads
from understudy.graph.log.memory import SharedMemoryLog, SharedRecords
from understudy.graph.log.opening import write_records
from understudy.graph.log.protocol import Log
from understudy.graph.log.sqlite import SqliteLog
from understudy.graph.log.streams.base import BaseFolder
from understudy.graph.log.streams.log import RedisLog
from understudy.graph.log.streams.options import RedisLogOptions
from understudy.graph.mutable.materialize import to_text_graph
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, UpsertNode

LONG = "UNDERSTUDY_LONG_TESTS" in os.environ
PROCESSES = 3
EXAMPLES = {"memory": 12, "sqlite": 12, "redis": 4}  # by kind of log


Kept = SharedRecords | RedisLogOptions | None  # where the log is; None: a file in the data folder


class Crash(BaseException):
    """The process ends here."""


class Fuse:
    """What counts the steps of a process.

    Attributes:
        fuse: steps until it ends.
    """

    def __init__(self, fuse: int | None = None) -> None:
        self.fuse = fuse

    def step(self) -> None:
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise Crash


class Process(Fuse):
    """One that holds the log, and can end at every step that it takes."""

    def __init__(self, bundle: TinyBundle, data: Path, kept: Kept) -> None:
        super().__init__()
        self.bundle, self.data = bundle, data
        self.between: Callable[[], object] = lambda: None  # once, before it appends
        self.logs: list[Log] = []  # that it has open
        if not isinstance(kept, SharedRecords):
            manifest, self.writer, _ = open_parts(bundle.folder, Opening(), data, kept)
        else:
            base = opened = open_bundle(bundle.folder, verify=False)
            log = SharedMemoryLog(kept)
            if log.snapshot:
                base = open_snapshot(data, log.snapshot)
            manifest, self.writer, _ = assemble(opened, base, log, Opening())
            self.writer.follow()
        self.take(manifest, self.writer)

    def take(self, manifest: Manifest, writer: Writer) -> None:
        """Goes on with a writer, whose every step counts."""
        self.writer = writer
        self.snapshots = Snapshots(self.data, manifest, writer)
        self.uploads = Uploads(self.data, writer)
        if writer.log not in self.logs:
            self.logs.append(writer.log)
        log_steps = ("append", "push", "read", "applied", "truncate", "refresh", "again")
        for part, names in (
            (writer.log, log_steps),
            (writer.incremental, ("update", "keep")),
            (writer.store, ("write", "publish")),
        ):
            for name in names:
                setattr(part, name, self.stepped(getattr(part, name), name))

    def reload(self, meanwhile: Callable[[], object]) -> None:
        """As a service loads a bundle anew; others change the graph meanwhile."""
        before = self.writer
        lineage = open_bundle(self.bundle.folder, verify=False).manifest.graph.lineage
        manifest, heir, _ = open_heir(self.bundle.folder, before, lineage, Opening())
        meanwhile()
        self.step()
        before.hand_over(heir, self.step)
        self.step()
        self.take(manifest, heir)
        self.logs.remove(before.log)
        before.close()

    def stepped(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.step()
            if name == "append":
                between, self.between = self.between, lambda: None
                between()
            result = function(*arguments, **named)
            if name == "again":
                self.logs.append(result)
            self.step()
            return result

        return call

    def end(self) -> None:
        """As a process that is killed: what the kernel closes is closed, and nothing is said."""
        for log in self.logs:
            let_go(log)


def let_go(log: Log) -> None:
    if isinstance(log, SqliteLog):
        log.connection.close()
        followers = log.followers
        for descriptor in (followers.lock, followers.position, followers.news):
            os.close(descriptor)
        followers.lock = followers.position = followers.news = -1
    elif isinstance(log, RedisLog):
        assert log.news is not None
        log.news.close()
        log.folder.started()
        log.server.close()
    else:
        log.close()


class Machine(RuleBasedStateMachine):
    """Clients that pass tokens on: a change that is done twice would be refused."""

    def __init__(self, bundle: TinyBundle, kept: Kept) -> None:
        super().__init__()
        self.served = bundle
        self.folder = TemporaryDirectory()
        self.data = Path(self.folder.name) / "data"
        if isinstance(kept, RedisLogOptions):
            kept = replace(kept, snapshots=self.data.with_name("store").as_uri())
        self.kept = kept
        self.folders = 0
        self.processes = [self.begin() for _ in range(PROCESSES)]
        self.tokens = [0, 0]  # by client, how often its node was replaced by the next
        self.unsure: dict[int, None] = {}  # clients that do not know what became of the last change
        self.acknowledged: dict[str, int] = {}
        self.patched = pytest.MonkeyPatch()
        for name in ("write_snapshot", "remove_snapshots"):
            self.patched.setattr(
                snapshots_module, name, self.stepping(getattr(snapshots_module, name))
            )
        where = "understudy.graph.log.sqlite.write_records"
        self.patched.setattr(where, self.stepping(write_records))
        for kind, name in (
            (SnapshotStore, "bring"),
            (SnapshotStore, "tidy"),
            (BaseFolder, "write"),
            (LocalFileSystem, "put_file"),
        ):
            self.patched.setattr(kind, name, self.stepping(getattr(kind, name)))
        self.running: Process | Fuse | None = None

    def begin(self, data: Path | None = None) -> Process:
        return Process(self.served, self.data if data is None else data, self.kept)

    def stepping(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            process = self.running
            if process is not None:
                process.step()
            result = function(*arguments)
            if process is not None:
                process.step()
            return result

        return call

    @contextmanager
    def crashing(self, number: int, fuse: int | None) -> Iterator[Process]:
        """Another one takes the place of a process that ends in the block."""
        process, before = self.processes[number], self.running
        process.fuse, self.running = fuse, process
        try:
            yield process
        except Crash:
            process.end()
            self.running = None
            self.processes[number] = self.begin(process.data)
        finally:
            process.fuse, self.running = None, before
            process.between = lambda: None

    def batch(self, client: int) -> tuple[list[Mutation], str]:
        token = self.tokens[client]
        batch: list[Mutation] = [UpsertNode(f"c{client}-{token + 1}", "json parser")]
        if token:
            batch.append(DeleteNode(f"c{client}-{token}"))
        return [*batch, AddEdge(f"c{client}-{token + 1}", "node-0")], f"key-{client}-{token}"

    def send(self, client: int, number: int, fuse: int | None) -> None:
        """A client's next change, or once more the one that it is not sure of."""
        batch, key = self.batch(client)
        before = self.processes[number].writer.state.version
        again = client in self.unsure
        self.unsure[client] = None
        with self.crashing(number, fuse) as process:
            applied = process.writer.apply(batch, key)
            assert applied.version > before or applied.repeated
            assert again or not applied.repeated
            self.acknowledged[key] = applied.version
            self.tokens[client] += 1
            del self.unsure[client]
            node = f"c{client}-{self.tokens[client]}"
            assert process.writer.state.graph.row_of(node) is not None

    processes_ = st.integers(0, PROCESSES - 1)
    fuses = st.none() | st.integers(0, 24)

    @rule(client=st.integers(0, 1), number=processes_, fuse=fuses)
    def change(self, client: int, number: int, fuse: int | None) -> None:
        self.send(client, number, fuse)

    @rule(first=processes_, step=st.integers(1, PROCESSES - 1), fuse=fuses, other_fuse=fuses)
    def race(self, first: int, step: int, fuse: int | None, other_fuse: int | None) -> None:
        """Another process appends between what this one read and what it wants to append."""
        second = (first + step) % PROCESSES
        self.processes[first].between = lambda: self.send(1, second, other_fuse)
        self.send(0, first, fuse)

    @rule(first=processes_, step=st.integers(1, PROCESSES - 1), fuse=fuses)
    def lose_ground(self, first: int, step: int, fuse: int | None) -> None:
        """A change that builds on a node which another process takes away at the same moment."""
        second = self.processes[(first + step) % PROCESSES]
        token = f"c1-{self.tokens[1]}"
        if self.unsure or second.writer.state.graph.row_of(token) is None:
            return
        self.processes[first].between = lambda: self.send(1, (first + step) % PROCESSES, None)
        with self.crashing(first, fuse) as process:
            with pytest.raises(MutationTargetError):
                process.writer.apply([AddEdge("node-1", token)], "never")
            assert process.writer.keys.find("never") is None

    @rule(first=processes_, step=st.integers(1, PROCESSES - 1), fuse=fuses)
    def race_with_itself(self, first: int, step: int, fuse: int | None) -> None:
        """A client that waits no more sends its change to another process as well."""
        if self.unsure:
            return
        batch, key = self.batch(0)
        second = (first + step) % PROCESSES
        self.processes[first].between = lambda: self.send(0, second, None)
        with self.crashing(first, fuse) as process:
            assert process.writer.apply(batch, key) == Applied(self.acknowledged[key], True)

    @rule(number=processes_, fuse=fuses)
    def follow(self, number: int, fuse: int | None) -> None:
        with self.crashing(number, fuse) as process:
            version = process.writer.state.version
            process.writer.follow()
            assert process.writer.state.version >= version

    @rule(number=processes_, fuse=fuses)
    def snapshot(self, number: int, fuse: int | None) -> None:
        with self.crashing(number, fuse) as process, suppress(JournalFailedError):
            process.snapshots.write()  # or refused: another process is not as far yet

    @rule(number=processes_)
    def kill(self, number: int) -> None:
        self.processes[number].end()
        self.processes[number] = self.begin(self.processes[number].data)

    @rule(number=processes_, step=st.integers(0, PROCESSES - 1), fuse=fuses)
    def reload(self, number: int, step: int, fuse: int | None) -> None:
        other = (number + step) % PROCESSES
        with self.crashing(number, fuse) as process:
            version = process.writer.state.version
            process.reload(lambda: self.send(1, other, None) if step else None)
            assert process.writer.state.version >= version

    @precondition(lambda self: isinstance(self.kept, RedisLogOptions))
    @rule(number=processes_, fuse=fuses)
    def store(self, number: int, fuse: int | None) -> None:
        with self.crashing(number, fuse) as process:
            process.uploads.store()

    @precondition(lambda self: isinstance(self.kept, RedisLogOptions))
    @rule(number=processes_, fuse=fuses)
    def start_cold(self, number: int, fuse: int | None) -> None:
        """On a machine of its own: with the bundle, and what the store and the log have."""
        self.processes[number].end()
        self.folders += 1
        data = self.data.with_name(f"{self.data.name}-{self.folders}")
        self.running = Fuse(fuse)
        try:
            self.processes[number] = self.begin(data)
        except Crash:
            self.running = None
            self.processes[number] = self.begin(data)
        finally:
            self.running = None

    @precondition(lambda self: not self.unsure)
    @rule(number=processes_, client=st.integers(0, 1))
    def send_once_more(self, number: int, client: int) -> None:
        """Its answer was lost on the way: the change is not done a second time."""
        if self.tokens[client]:
            self.tokens[client] -= 1
            batch, key = self.batch(client)
            self.tokens[client] += 1
            applied = self.processes[number].writer.apply(batch, key)
            assert applied == Applied(self.acknowledged[key], repeated=True)

    def teardown(self) -> None:
        try:
            for client in list(self.unsure):
                self.send(client, 0, None)
            self.compare()
        finally:
            self.patched.undo()
            for process in self.processes:
                process.writer.close()
            self.folder.cleanup()

    def compare(self) -> None:
        late = self.begin()
        self.processes.append(late)
        for process in self.processes:
            process.writer.follow()
            for key, version in self.acknowledged.items():
                known = process.writer.keys.find(key)
                assert known is not None
                assert known.number == version
            state = process.writer.state
            assert state.version == late.writer.state.version
            graph = to_text_graph(state.graph)
            assert described(graph) == described(to_text_graph(late.writer.state.graph))
            expected = {f"c{client}-{token}" for client, token in enumerate(self.tokens) if token}
            assert {name for name in graph.ids.to_pylist() if name[0] == "c"} == expected
            process.writer.settle()
            reference = reference_activations(self.served.weights, graph)[-1]
            logits = state.logits(state.graph.live_rows())
            np.testing.assert_allclose(logits, reference, atol=1e-4)


@pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
def test_crashes_between_any_two_steps(
    tiny_bundle: TinyBundle, kind: str, request: pytest.FixtureRequest
) -> None:
    def kept() -> Kept:
        """Of a new log."""
        if kind == "redis":
            server = request.getfixturevalue("redis")
            server.client.flushall()
            return RedisLogOptions(server.url, records_kept=0)
        return SharedRecords() if kind == "memory" else None

    class OfThisLog(Machine):
        def __init__(self) -> None:
            super().__init__(tiny_bundle, kept())

    run_state_machine_as_test(
        OfThisLog,
        settings=settings(
            max_examples=400 if LONG else EXAMPLES[kind],
            stateful_step_count=40 if LONG else 20,
            deadline=None,
        ),
    )
