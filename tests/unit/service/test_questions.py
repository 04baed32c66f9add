"""Prompts about a changing graph: whose labels they show, and what memory they keep."""

import gc
from pathlib import Path

import pytest

from service.parts import build_parts
from service.settings import load_settings
from service.teacher.questions import QuestionOptions, Questions, StandingLabels
from tests.bundles import TinyBundle, write_tiny_bundle
from understudy.engine import Engine, Node
from understudy.graph.errors import BadInputError
from understudy.graph.mutable.materialize import to_text_graph
from understudy.graph.mutable.versions import Version
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, UpsertNode
from understudy.graph.text_graph import UNLABELED

NEIGHBOR = "node-1"  # of the training split, like nodes 0 to 19, with the label `editors`


@pytest.fixture
def bundle(tmp_path: Path) -> TinyBundle:
    return write_tiny_bundle(tmp_path / "bundle")


def description(engine: Engine, *nodes: Node) -> str:
    """What is asked about the last of the nodes."""
    resolution = engine.resolve(nodes)
    last = len(nodes) - 1
    prompts = Questions(QuestionOptions(hops=1)).prompts(resolution, [last])
    assert list(prompts) == [last]  # of the wanted one alone
    return prompts[last].description


def about_neighbor(engine: Engine, neighbor: str = NEIGHBOR) -> str:
    return description(engine, Node(id="node-2"), Node(text="new", neighbors=(neighbor,)))


def changed(bundle: TinyBundle, data: Path, *mutations: Mutation) -> list[str]:
    """What is asked beside the node `fresh` or NEIGHBOR: as changed, restarted, and shortened."""
    prompts = []
    beside = next((m.id for m in mutations if isinstance(m, UpsertNode)), NEIGHBOR)
    with Engine.open(bundle.folder, data=data) as engine:
        engine.apply(mutations)
        prompts.append(about_neighbor(engine, beside))
    with Engine.open(bundle.folder, data=data) as engine:
        prompts.append(about_neighbor(engine, beside))
        engine.snapshot()
    with Engine.open(bundle.folder, data=data) as engine:
        prompts.append(about_neighbor(engine, beside))
    return prompts


def test_a_node_that_comes_for_a_training_node_shows_no_label(
    bundle: TinyBundle, tmp_path: Path
) -> None:
    fresh = UpsertNode("fresh", "a brand new unrelated text", "games")
    for prompt in changed(bundle, tmp_path / "data", DeleteNode(NEIGHBOR), fresh):
        assert "- a brand new unrelated text\n" in f"{prompt}\n"
        assert "[" not in prompt


def test_a_node_that_came_for_another_is_in_no_split(bundle: TinyBundle) -> None:
    with Engine.open(bundle.folder) as engine:
        engine.apply([DeleteNode(NEIGHBOR), UpsertNode("fresh", "text"), DeleteNode("node-30")])
        graph = to_text_graph(engine.state.graph)
    ids = graph.ids.to_pylist()
    assert "fresh" in ids
    assert {ids[row] for row in graph.splits["train"]} == (
        {f"node-{n}" for n in range(20)} - {NEIGHBOR}
    )
    assert {ids[row] for row in graph.splits["test"]} == (
        {f"node-{n}" for n in range(20, 40)} - {"node-30"}
    )


def test_a_training_label_is_shown_as_it_stands(bundle: TinyBundle, tmp_path: Path) -> None:
    for prompt in changed(bundle, tmp_path / "data", UpsertNode(NEIGHBOR, label="games")):
        assert "[games]" in prompt
        assert "[editors]" not in prompt


def test_a_training_node_that_came_back_without_a_label_shows_none(
    bundle: TinyBundle, tmp_path: Path
) -> None:
    back = UpsertNode(NEIGHBOR, "text buffer")
    for prompt in changed(bundle, tmp_path / "data", DeleteNode(NEIGHBOR), back):
        assert "- text buffer\n" in f"{prompt}\n"


def test_a_label_that_the_model_does_not_know_is_not_shown(bundle: TinyBundle) -> None:
    with Engine.open(bundle.folder) as engine:
        graph = engine.state.graph
        row = graph.row_of(NEIGHBOR)
        assert row is not None
        label = graph.label(row)
        assert label > 0
        shown = [StandingLabels(graph, labels)[row] for labels in (label, label + 1)]
        assert shown == [UNLABELED, label]


def test_a_held_out_node_shows_no_label_whatever_it_is_given(bundle: TinyBundle) -> None:
    with Engine.open(bundle.folder) as engine:
        engine.apply([UpsertNode("node-35", label="games"), UpsertNode("added", "text", "games")])
        for beside in ("node-35", "added"):
            assert "[" not in about_neighbor(engine, beside)


def test_an_old_version_is_asked_about_as_it_was(bundle: TinyBundle) -> None:
    with Engine.open(bundle.folder) as engine:
        resolution = engine.resolve([Node(text="new", neighbors=(NEIGHBOR,))])
        engine.apply([DeleteNode(NEIGHBOR), UpsertNode("fresh", "another text", "games")])
        prompt = Questions(QuestionOptions(hops=1)).prompts(resolution, [0])[0]
    assert f"- {bundle.text(1)} [editors]" in prompt.description


def test_a_nodes_own_label_is_never_in_its_prompt(bundle: TinyBundle) -> None:
    with Engine.open(bundle.folder) as engine:
        for node in ("node-1", "node-5"):
            engine.apply([UpsertNode(node, label="science"), AddEdge(node, "node-35")])
            others = {f"node-{n}" for n in range(20)} - {node}
            engine.apply([UpsertNode(other, label="games") for other in sorted(others)])
            resolution = engine.resolve([Node(id=node)])
            for hops in range(4):
                prompt = Questions(QuestionOptions(hops=hops)).prompts(resolution, [0])[0]
                assert "[science]" not in prompt.description


def test_only_wanted_good_nodes_are_asked_about(bundle: TinyBundle) -> None:
    with Engine.open(bundle.folder) as engine:
        resolution = engine.resolve([Node(id="nobody"), Node(text="x"), Node(id="node-3")])
    questions = Questions(QuestionOptions())
    assert list(questions.prompts(resolution, [2, 0, 1])) == [2, 1]
    assert list(questions.prompts(resolution, [1])) == [1]


def test_a_question_keeps_no_version_alive(bundle: TinyBundle) -> None:
    questions = Questions(QuestionOptions())
    with Engine.open(bundle.folder) as engine:
        before = versions_alive()
        assert questions.prompts(engine.resolve([Node(id=NEIGHBOR)]), [0])
        for number in range(50):
            engine.apply([UpsertNode(NEIGHBOR, f"text {number}")])
        assert versions_alive() <= before + 2


def versions_alive() -> int:
    gc.collect()
    return sum(type(thing) is Version for thing in gc.get_objects())


def test_the_served_teacher_is_told_about_the_labels(bundle: TinyBundle, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("label,description\neditors,programs that change texts\n")
    settings = load_settings(teacher_url="http://127.0.0.1:9/v1", teacher_label_descriptions=path)
    with Engine.open(bundle.folder) as engine:
        asking = build_parts(engine, settings, None).classifier.asking
        assert asking is not None
        resolution = engine.resolve([Node(id="node-2")])
        prompt = asking.setups[engine].questions.prompts(resolution, [0])[0]
        assert prompt.instruction.endswith("\n- editors: programs that change texts")
        path.write_text("label,description\neditor,x\n")
        with pytest.raises(BadInputError, match=r":2: the graph has no label 'editor'"):
            build_parts(engine, settings, None)
