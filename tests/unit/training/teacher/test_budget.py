"""Which nodes are asked about under a budget."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from training.errors import TeacherError
from training.teacher.budget import (
    UNREACHED,
    asking_order,
    budgeted_nodes,
    uncertainty,
    unpriced,
)
from training.teacher.cost import estimate
from training.teacher.endpoint import EndpointOptions
from training.teacher.hardness import check_order, read_hardness
from training.teacher.options import Budget, TeachOptions
from training.teacher.teach import teach
from training.teacher.tuning import TuningOptions
from understudy.graph import TextGraph, save_graph
from understudy.graph.csr import build_adjacency
from understudy.graph.prompts import Prompt, PromptOptions, graph_prompter
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph
from understudy.graph.splits import labeled_nodes

GRAPH = synthetic_graph(SyntheticOptions(nodes=400, classes=4, mean_degree=4.0, seed=2))
CHOICES = ("uncertain", "random")


def linked(edges: Sequence[tuple[int, int]]) -> TextGraph:
    """The graph with other edges, and nodes 0 to 2 alone in training, each of its own class."""
    adjacency, _ = build_adjacency(GRAPH.num_nodes, np.array(edges))
    labels = GRAPH.labels.copy()
    labels[:3] = [0, 1, 2]
    splits = {"train": np.arange(3), "val": np.array([390, 391]), "test": np.array([395])}
    return replace(GRAPH, adjacency=adjacency, labels=labels, splits=splits)


def nodes_of(
    budget: Budget, hops: tuple[int, ...] = (0, 1), **changes: object
) -> NDArray[np.int64]:
    write = graph_prompter(GRAPH, PromptOptions()).stored
    values = {"cost": unpriced, "seed": 0, "fitted": False, **changes}
    return budgeted_nodes(GRAPH, hops, budget, write, **values)  # type: ignore[arg-type]


def test_between_two_classes_a_node_is_worth_more_than_within_one() -> None:
    graph = linked([(0, 10), (10, 11), (1, 12), (11, 13), (12, 13), (0, 11)])
    worth = uncertainty(graph)
    assert UNREACHED > worth[13] > worth[11] > worth[10]
    assert worth[50] == UNREACHED  # no label arrives there


def test_of_linked_nodes_one_is_asked_about_at_first() -> None:
    graph = linked([(0, 10), (10, 11), (20, 21), (21, 22), (20, 22)])
    order = asking_order(graph, "uncertain", 0, fitted=False).tolist()
    triangle = sorted(order.index(node) for node in (20, 21, 22))
    lone = order.index(50)  # no label arrives there either, and nothing is linked to it
    reached = min(order.index(10), order.index(11))
    assert max(triangle[0], lone) < reached < triangle[1] < triangle[2]


def test_the_uncertain_come_first() -> None:
    worth = uncertainty(GRAPH)
    order = asking_order(GRAPH, "uncertain", 0, fitted=False)
    others = order[~np.isin(order, np.concatenate([GRAPH.splits["train"], GRAPH.splits["val"]]))]
    assert worth[others[0]] == worth[others].max()
    linked_ones = np.isin(others, GRAPH.adjacency.neighbors(int(others[0])))
    assert not linked_ones[:20].any()
    assert worth[others[:30]].mean() > worth[others].mean() + 0.2


def test_what_is_said_to_be_hard_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "hard.json"
    others = [node for node in range(400) if node not in set(GRAPH.splits["train"].tolist())]
    others = [node for node in others if node not in set(GRAPH.splits["val"].tolist())]
    names = [GRAPH.ids[node].as_py() for node in others[::40]]
    file.write_text(json.dumps({name: place for place, name in enumerate(names)}))
    hard = read_hardness(file)
    budget = Budget(nodes=10, choice="uncertain", hard=hard)
    asked = [GRAPH.ids[node].as_py() for node in nodes_of(budget).tolist()]
    assert [name for name in asked if name in hard][:3] == names[:-4:-1]
    assert budget.settings != replace(budget, hard={}).settings
    file.write_text("\ufeff" + file.read_text())  # as some editors begin a file
    assert read_hardness(file) == hard
    with pytest.raises(TeacherError, match="is NaN"):
        nodes_of(replace(budget, hard={names[0]: float("nan")}))
    for text, words in (
        ("[1]", "expected one JSON object"),
        ('{"a": 1}', "has no node"),
        ('{"a": 1, "a": 2}', "two keys 'a'"),
        ("{}", "no nodes; add some, or leave the option out"),
    ):
        file.write_text(text)
        with pytest.raises(TeacherError, match=words):
            nodes_of(replace(budget, hard=read_hardness(file)))


@pytest.mark.parametrize(
    ("limited", "hard", "choice", "message"),
    [
        (False, True, None, "--budget-hard needs a limit"),
        (False, False, "uncertain", "--budget-choice needs a limit"),
        (True, True, "random", "both decide which nodes come first"),
    ],
)
def test_an_order_that_would_have_no_effect_is_refused(
    limited: bool, hard: bool, choice: str | None, message: str
) -> None:
    with pytest.raises(TeacherError, match=message):
        check_order(limited, hard, choice)


@pytest.mark.parametrize("choice", [None, *CHOICES])
def test_an_order_with_an_effect_is_accepted(choice: str | None) -> None:
    check_order(True, False, choice)
    check_order(True, choice != "random", choice)
    check_order(False, False, None)


@pytest.mark.parametrize("choice", CHOICES)
def test_every_fifth_node_is_of_validation_and_training_comes_last(choice: str) -> None:
    order = asking_order(GRAPH, choice, 0, fitted=False)  # type: ignore[arg-type]
    assert sorted(order.tolist()) == list(range(GRAPH.num_nodes))
    validation, train = (np.isin(order, labeled_nodes(GRAPH, split)) for split in ("val", "train"))
    asked = 5 * min(len(GRAPH.splits["val"]), (~validation & ~train).sum() // 4)
    assert np.flatnonzero(validation[:asked]).tolist() == list(range(0, asked, 5))
    assert train[-int(train.sum()) :].all()


def test_a_head_is_fitted_to_training_nodes_that_are_asked_about() -> None:
    order = asking_order(GRAPH, "uncertain", 0, fitted=True)
    train = np.isin(order, labeled_nodes(GRAPH, "train"))
    assert train[[1, 6, 11]].all()
    assert not train[[0, 2, 3, 4, 5]].any()


@pytest.mark.parametrize("choice", CHOICES)
def test_a_larger_budget_asks_about_the_same_nodes_and_more(
    choice: str, caplog: pytest.LogCaptureFixture
) -> None:
    few, more = (nodes_of(Budget(calls=n, choice=choice)) for n in (60, 90))  # type: ignore[arg-type]
    assert set(few.tolist()) < set(more.tolist())
    assert few.tolist() == more[: len(few)].tolist()  # in the order in which to ask
    nodes_of(Budget(nodes=25, choice=choice))  # type: ignore[arg-type]
    assert f"about 25 of 400 nodes ({choice}), among them 5 validation nodes" in caplog.text


def test_calls_are_distinct_questions() -> None:
    """A node without neighbours asks the same at every hop."""
    write = graph_prompter(GRAPH, PromptOptions()).stored
    chosen = nodes_of(Budget(calls=60))
    questions = {write(node, hop) for node in chosen.tolist() for hop in (0, 1)}
    assert 59 <= len(questions) <= 60


def test_money_is_spent_by_the_prices() -> None:
    endpoint = EndpointOptions("http://a/v1", "m", input_price=2.0, output_price=10.0)
    prompts = graph_prompter(GRAPH, PromptOptions())
    assert estimate(Prompt("", "x" * 4_000), endpoint) == pytest.approx(2_080 / 1e6, rel=0.1)
    chosen = nodes_of(Budget(money=0.01), (1,), cost=lambda p: estimate(p, endpoint))
    spent = sum(estimate(prompts.stored(node, 1), endpoint) for node in chosen.tolist())
    assert 0.009 < spent <= 0.01


def test_a_budget_for_less_than_a_node_is_refused() -> None:
    with pytest.raises(TeacherError, match=r"one node takes 2 questions .* raise --budget"):
        nodes_of(Budget(calls=1))


def test_a_budget_without_a_node_of_validation_is_refused_before_asking() -> None:
    order = asking_order(GRAPH, "random", 0, fitted=True)
    first = int(np.argmax(np.isin(order, labeled_nodes(GRAPH, "val"))))
    assert first > 0
    with pytest.raises(TeacherError, match=r"nodes?, of which none is a validation node, but"):
        nodes_of(Budget(nodes=first), fitted=True)
    assert len(nodes_of(Budget(nodes=first + 1), fitted=True)) == first + 1


def test_without_a_limit_all_are_asked_about_and_with_two_the_tighter_one_holds() -> None:
    assert nodes_of(Budget()).tolist() == list(range(400))
    assert len(nodes_of(Budget(nodes=10, calls=500))) == 10
    assert len(nodes_of(Budget(nodes=200, calls=20))) < 15


def test_answers_depend_on_the_budget_and_on_its_choice() -> None:
    settings = [
        str(budget.settings)
        for budget in (Budget(), Budget(5), Budget(5, choice="uncertain"), Budget(0, 5))
    ]
    assert len(set(settings)) == 4
    assert Budget().settings == {"max_nodes": 0}


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (
            Budget(calls=5, choice="uncertain", hard={"nobody": 1.0}),
            "the graph has no node 'nobody'",
        ),
        (Budget(calls=1, choice="uncertain"), "the budget"),
    ],
)
def test_a_wrong_budget_is_told_before_hours_of_tuning(
    tmp_path: Path, budget: Budget, message: str
) -> None:
    save_graph(GRAPH, tmp_path / "graph")
    stages = set[str]()
    with pytest.raises(TeacherError, match=message):
        teach(
            tmp_path / "graph",
            tmp_path / "teacher",
            TeachOptions(budget=budget, tuning=TuningOptions(epochs=1)),
            lambda stage, done, total: stages.add(stage),
        )
    assert stages == {"Loading the teacher"}
