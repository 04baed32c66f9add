"""After any changes, the engine's values equal a full computation, and PyG's."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.student_bundles import (
    WORDS,
    Array,
    StudentBundle,
    hub_graph,
    incremental_of,
    write_student_bundle,
)
from tests.students import small_student
from training.config import STUDENT_KINDS
from understudy.engine import Engine
from understudy.engine.errors import ChangeError
from understudy.engine.full_run import compute_tables
from understudy.engine.opening import Opening, open_parts
from understudy.engine.state import GraphState, open_graph, open_tables
from understudy.engine.student import Student, load_student
from understudy.engine.updates.affected import HUB_NEIGHBORS, LOGITS_AT_ONCE, Incremental
from understudy.engine.updates.aggregated import LINEAR
from understudy.engine.updates.writer import Writer
from understudy.graph.log.memory import MemoryLog
from understudy.graph.mutable.materialize import to_text_graph
from understudy.graph.mutable.store import GraphStore
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, RemoveEdge, UpsertNode
from understudy.graph.text_graph import TextGraph

TOLERANCE = 1e-4
FEW_LOGITS = 5  # that a change computes: others of the graph of the tests are left
LONG = "UNDERSTUDY_LONG_TESTS" in os.environ


@pytest.fixture(scope="module", params=STUDENT_KINDS)
def bundle(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> StudentBundle:
    folder = tmp_path_factory.mktemp("incremental") / request.param
    return write_student_bundle(folder, hub_graph(), small_student(request.param))


@pytest.fixture(scope="module")
def student(bundle: StudentBundle) -> Student:
    return load_student(bundle.open(), 1, "cpu")


def make_writer(bundle: StudentBundle, student: Student) -> Writer:
    """A writer with tables of its own."""
    opened = bundle.open()
    tables = open_tables(opened)
    store = GraphStore(open_graph(opened))
    return Writer(store, tables, Incremental(student, tables), MemoryLog())


def stored(state: GraphState) -> list[Array]:
    """Everything that the engine keeps of its nodes, in the order of their rows."""
    rows = state.graph.live_rows()
    layers = len(state.tables.activations)
    return [*(state.activations(layer, rows) for layer in range(layers)), state.logits(rows)]


def assert_close(found: list[Array], expected: list[Array]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE)


def same_edges(graph: TextGraph, edges: set[frozenset[str]]) -> bool:
    ids = graph.ids.to_pylist()
    return {frozenset((ids[a], ids[b])) for a, b in graph.adjacency.edges().tolist()} == edges


texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)
picks = st.integers(0, 10_000)


class LivingGraph(RuleBasedStateMachine):
    """Changes a graph beside a model of it in plain dictionaries, across snapshots and restarts."""

    def __init__(self, bundle: StudentBundle, student: Student) -> None:
        super().__init__()
        self.source, self.student = bundle, student
        self.data = TemporaryDirectory()
        self.open()

    def open(self) -> None:
        self.engine = Engine.open(self.source.folder, data=Path(self.data.name))
        self.engine.maintenance.close()  # it is done by rules here
        self.writer = self.engine.writer
        self.leave_logits(FEW_LOGITS)

    @rule(at_once=st.sampled_from([0, FEW_LOGITS, LOGITS_AT_ONCE]), hubs=st.booleans())
    def leave_logits(self, at_once: int, hubs: bool = True) -> None:
        """From here on a change that reaches more nodes leaves their logits to readers."""
        incremental = incremental_of(self.writer)
        incremental.logits_at_once = at_once
        incremental.hub_neighbors = 20 if hubs else HUB_NEIGHBORS

    def teardown(self) -> None:
        self.engine.close()
        self.data.cleanup()

    @initialize()
    def start(self) -> None:
        graph = self.source.graph
        self.texts = dict(zip(graph.ids.to_pylist(), graph.texts.to_pylist(), strict=True))
        ids = graph.ids.to_pylist()
        self.edges = {frozenset((ids[a], ids[b])) for a, b in graph.adjacency.edges().tolist()}
        self.kept = (self.writer.state, stored(self.writer.state))
        self.created = 0

    def pick(self, number: int) -> str:
        ids = list(self.texts)
        return str(ids[number % len(ids)])

    def apply(self, *mutations: Mutation) -> None:
        before, changed = self.writer.state.version, any(map(self.changes, mutations))
        applied = self.writer.apply(mutations)
        assert applied.version == self.writer.state.version == before + changed
        for mutation in mutations:
            self.follow(mutation)

    def changes(self, mutation: Mutation) -> bool:
        """Whether it alone does: there may be the edge, or the text, already."""
        if isinstance(mutation, AddEdge):
            return frozenset((mutation.source, mutation.target)) not in self.edges
        return not isinstance(mutation, UpsertNode) or self.texts.get(mutation.id) != mutation.text

    def follow(self, mutation: Mutation) -> None:
        if isinstance(mutation, UpsertNode):
            self.texts[mutation.id] = mutation.text or self.texts[mutation.id]
        elif isinstance(mutation, DeleteNode):
            del self.texts[mutation.id]
            self.edges = {edge for edge in self.edges if mutation.id not in edge}
        elif isinstance(mutation, AddEdge):
            self.edges.add(frozenset((mutation.source, mutation.target)))
        else:
            self.edges.remove(frozenset((mutation.source, mutation.target)))

    @rule(text=texts, neighbors=st.lists(picks, max_size=4))
    def add_node(self, text: str, neighbors: list[int]) -> None:
        self.created += 1
        name = f"new{self.created}"
        near = dict.fromkeys(self.pick(number) for number in neighbors)
        self.apply(UpsertNode(name, text, "b"), *(AddEdge(name, other) for other in near))

    @rule(number=picks, text=texts)
    def change_text(self, number: int, text: str) -> None:
        self.apply(UpsertNode(self.pick(number), text))

    @precondition(lambda self: len(self.texts) > 10)
    @rule(number=picks)
    def delete_node(self, number: int) -> None:
        self.apply(DeleteNode(self.pick(number)))

    @rule(pairs=st.lists(st.tuples(picks, picks), min_size=1, max_size=6))
    def add_edges(self, pairs: list[tuple[int, int]]) -> None:
        ends = [(self.pick(a), self.pick(b)) for a, b in pairs]
        mutations = [AddEdge(a, b) for a, b in ends if a != b]
        if mutations:
            self.apply(*mutations)

    @precondition(lambda self: self.edges)
    @rule(number=picks)
    def remove_edge(self, number: int) -> None:
        edges = sorted(tuple(sorted(edge)) for edge in self.edges)
        self.apply(RemoveEdge(*edges[number % len(edges)]))

    @rule(number=picks, others=st.sets(picks, min_size=20, max_size=40))
    def rewire(self, number: int, others: set[int]) -> None:
        """Makes a hub, takes a node away, puts it back under its name, all in one batch."""
        hub = self.pick(number)
        near = {self.pick(other) for other in others} - {hub}
        text = self.texts[hub]
        again = UpsertNode(hub, text)
        self.apply(DeleteNode(hub), again, *(AddEdge(hub, other) for other in sorted(near)))

    @rule(number=picks)
    def refuse(self, number: int) -> None:
        """A batch whose last item cannot be done leaves nothing behind."""
        name = self.pick(number)
        state = self.writer.state
        batch: list[Mutation] = [
            UpsertNode("half", "half"),
            AddEdge("half", name),
            DeleteNode("nobody"),
        ]
        with pytest.raises(ChangeError, match="mutation 2"):
            self.writer.apply(batch)
        assert self.writer.state is state

    @rule()
    def keep_reading(self) -> None:
        """From here on this version is held, while others come and go."""
        self.kept = (self.writer.state, stored(self.writer.state))

    @rule()
    def compact(self) -> None:
        self.writer.compact()
        assert self.writer.state.graph.parts.lists.used == 0

    @rule()
    def snapshot(self) -> None:
        self.engine.snapshot()
        assert self.writer.log.start == self.writer.state.version

    @rule()
    def snapshot_with_debts(self) -> None:
        """As where a change comes after settling."""
        assert self.engine.snapshots is not None
        self.engine.snapshots.write()

    @rule()
    def restart(self) -> None:
        """From the last snapshot, if there is one, and the journal; rows may close up."""
        version = self.writer.state.version
        self.engine.close()
        self.open()
        assert self.writer.state.version == version
        self.keep_reading()

    @rule()
    def settle(self) -> None:
        self.writer.settle()
        assert not self.writer.incremental.owes
        assert self.writer.state.stale is None

    @rule()
    def settle_a_little(self) -> None:
        """Changes come again before all of it is done."""
        self.writer.settle(interrupted=iter([False, True]).__next__)

    @invariant()
    def equals_a_full_computation(self) -> None:
        state = self.writer.state
        graph = to_text_graph(state.graph)
        assert dict(zip(graph.ids.to_pylist(), graph.texts.to_pylist(), strict=True)) == self.texts
        assert same_edges(graph, self.edges)
        found = stored(state)
        assert_close(found, self.source.reference(graph))
        fresh = compute_tables(self.student, GraphStore(graph).view)
        assert_close(found, [table.base for table in fresh.layers])

    @invariant()
    def a_kept_version_stays(self) -> None:
        state, before = self.kept
        for one, other in zip(stored(state), before, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("restarts", [False, True])
def test_what_is_owed_is_paid(
    bundle: StudentBundle, student: Student, tmp_path: Path, restarts: bool
) -> None:
    """With a threshold that no change reaches, the neighbours hear of it when debts are settled."""
    engine = Engine.open(bundle.folder, data=tmp_path)
    engine.maintenance.close()
    incremental_of(engine.writer).reach.debts.waking = 1e9
    for number in range(5):
        batch = [UpsertNode("n5", f"mail kernel {number}"), UpsertNode("n0", f"chess {number}")]
        engine.apply(batch)
    owed = student.weighting != "none"
    assert engine.writer.incremental.owes == owed
    reference = bundle.reference(to_text_graph(engine.state.graph))
    behind = np.abs(stored(engine.state)[-1] - reference[-1]).max()
    assert (behind > 10 * TOLERANCE) == owed
    writer = engine.writer
    if restarts:
        assert engine.snapshots is not None
        engine.snapshots.write()
        engine.close()
        _, writer, _ = open_parts(bundle.folder, Opening(), tmp_path)  # as far as probing
    writer.settle()
    assert not writer.incremental.owes
    assert_close(stored(writer.state), bundle.reference(to_text_graph(writer.state.graph)))
    writer.close()


def test_a_removed_node_leaves_no_sum(bundle: StudentBundle, student: Student) -> None:
    """Its row may become another node's, whose neighbours have another sum."""
    writer = make_writer(bundle, student)
    hub = np.array([0])
    writer.apply([UpsertNode("n5", "mail kernel")])  # beside the hub, whose sums are kept from now
    if student.weighting in LINEAR:
        assert all(sums.has(hub).all() for sums in incremental_of(writer).reach.sums)
        writer.apply([DeleteNode("n0")])
        assert not any(sums.has(hub).any() for sums in incremental_of(writer).reach.sums)


def test_any_changes_give_what_a_full_computation_gives(
    bundle: StudentBundle, student: Student
) -> None:
    class OfThisStudent(LivingGraph):
        def __init__(self) -> None:
            super().__init__(bundle, student)

    run_state_machine_as_test(
        OfThisStudent,
        settings=settings(
            max_examples=60 if LONG else 5,
            stateful_step_count=30 if LONG else 12,
            suppress_health_check=list(HealthCheck),
        ),
    )
