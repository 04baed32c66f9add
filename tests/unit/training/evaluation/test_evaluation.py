"""Statistics of paired runs, splits and recipes."""

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from training.errors import EvaluationError, UntrainableError
from training.evaluation.evaluate import check_plan, check_splits
from training.evaluation.plan import (
    CHOSEN,
    SPLIT_KINDS,
    Choice,
    EvaluationOptions,
    run_keys,
    split_graph,
)
from training.evaluation.run import best_choice, reliability
from training.evaluation.statistics import chosen, summarize
from training.recipes import COMBINED, HARD, RANDOM, RECIPES, VANILLA, recipe_weights
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph


def result(recipe: str, split: int, seed: int, accuracy: float) -> dict[str, Any]:
    names = ("test_macro_f1", "test_calibration_error", "val_accuracy", "convergence_epoch")
    return {
        "key": {
            "encoder": "minilm",
            "student": "gcn",
            "recipe": recipe,
            "split": split,
            "seed": seed,
        },
        "metrics": {"test_accuracy": accuracy, **dict.fromkeys(names, 0.5)},
    }


def test_gains_are_paired_by_split_and_seed() -> None:
    generator = np.random.default_rng(0)
    base = generator.normal(0.8, 0.05, 10)  # splits differ far more than recipes do
    gains = generator.normal(0.01, 0.004, 10)
    runs = [(split, seed) for split in range(5) for seed in range(2)]
    vanilla = [result(VANILLA, *run, a) for run, a in zip(runs, base, strict=True)]
    combined = [result(COMBINED, *run, a) for run, a in zip(runs, base + gains, strict=True)]
    _, found = summarize([*vanilla, *reversed(combined)])
    assert found.gain == pytest.approx(gains.mean())
    assert found.effect == pytest.approx(gains.mean() / gains.std(ddof=1))
    assert found.t_test_p == pytest.approx(stats.ttest_rel(base + gains, base).pvalue)
    assert found.wilcoxon_p < 0.01
    assert found.deviation == pytest.approx((base + gains).std(ddof=1))


def test_the_chosen_run_is_the_best_on_validation_and_no_control() -> None:
    def run(recipe: str, split: int, validation: float, test: float) -> dict[str, Any]:
        found = result(recipe, split, 0, test)
        return {**found, "metrics": found["metrics"] | {"val_accuracy": validation}}

    runs = [
        run(RANDOM, 0, 0.99, 0.1),
        run(COMBINED, 0, 0.80, 0.5),
        run(VANILLA, 0, 0.80, 0.6),  # as good on validation as the combination, and simpler
        run(VANILLA, 1, 0.70, 0.7),
        run(COMBINED, 1, 0.71, 0.8),
    ]
    found = {one["key"]["split"]: one for one in chosen(runs)}
    assert {split: one["metrics"]["test_accuracy"] for split, one in found.items()} == {
        0: 0.6,
        1: 0.8,
    }
    assert {one["key"]["recipe"] for one in found.values()} == {CHOSEN}
    assert chosen([one for one in runs if one["key"]["recipe"] in (VANILLA, RANDOM)]) == []


def test_no_difference_is_no_evidence() -> None:
    runs = [result(name, split, 0, 0.8) for name in (VANILLA, COMBINED) for split in range(4)]
    found = summarize(runs)[1]
    assert (found.gain, found.effect, found.wilcoxon_p, found.t_test_p) == (0, 0, 1, 1)


@pytest.mark.parametrize("kind", ["60/20/20", "20-per-class"])
def test_splits_are_disjoint_repeatable_and_follow_the_seed(kind: str) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=600, classes=4))
    first, again, other = (split_graph(graph, kind, seed).splits for seed in (0, 0, 1))
    members = np.concatenate(list(first.values()))
    assert len(np.unique(members)) == len(members) == 600
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["test"], other["test"])
    if kind == "20-per-class":
        assert np.bincount(graph.labels[first["train"]]).tolist() == [20] * 4


@pytest.mark.parametrize("kind", SPLIT_KINDS)
def test_no_part_of_a_split_has_a_node_whose_group_another_part_has(kind: str) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=600, classes=4))
    groups = np.random.default_rng(0).integers(0, 300, graph.num_nodes)
    found = split_graph(replace(graph, groups=groups), kind, 0).splits
    for one, other in combinations(found.values(), 2):
        assert len(one) > 50
        assert not np.intersect1d(groups[one], groups[other]).size
    if kind == "20-per-class":
        assert np.bincount(graph.labels[found["train"]]).tolist() == [20] * 4


def test_controls_have_the_weights_of_the_combination() -> None:
    assert recipe_weights(VANILLA) == {"cross_entropy": 1}
    assert recipe_weights(RANDOM) == recipe_weights(COMBINED)
    assert recipe_weights(HARD).keys() < recipe_weights(COMBINED).keys()
    assert recipe_weights("kd", strength=3.0) == {"cross_entropy": 1, "kd": 3}
    assert all(recipe_weights(recipe)["cross_entropy"] == 1 for recipe in RECIPES)


def test_every_run_has_a_name_of_its_own() -> None:
    options = EvaluationOptions()
    keys = list(run_keys(options))
    assert len({key.name for key in keys}) == len(keys) == 5 * 2 * 2 * 4 * len(RECIPES)


def test_unknown_names_are_told() -> None:
    with pytest.raises(EvaluationError, match="unknown recipe"):
        EvaluationOptions(recipes=("alchemy",))
    with pytest.raises(EvaluationError, match="unknown kind of split"):
        EvaluationOptions(split_kind="thirds")


def test_reliability_counts_every_node() -> None:
    logits = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]]))
    bins = reliability(logits, np.array([0, 1, 1]))
    assert [b["count"] for b in bins] == [1, 2]
    assert bins[1]["accuracy"] == 0.5
    assert bins[1]["confidence"] == pytest.approx(0.9)


def test_a_search_begins_with_the_settings_it_is_given_and_keeps_the_best() -> None:
    tried: list[Choice] = []

    def value(choice: Choice) -> float:
        tried.append(choice)
        return -abs(choice.dropout - 0.3)

    first = Choice(hidden=48, dropout=0.7)
    best = best_choice(value, VANILLA, 8, first)
    assert tried[0] == first
    assert len(tried) == 8
    assert best == max(tried, key=lambda choice: -abs(choice.dropout - 0.3))
    assert {choice.strength for choice in tried} == {1.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"students": ("sagee",)}, "unknown student 'sagee'; choose from sage, gcn"),
        ({"encoders": ("bert",)}, "unknown encoder 'bert'; choose from minilm, hashing"),
        ({"recipes": ()}, "an evaluation needs a recipe"),
        ({"splits": 0}, "at least one split and one seed"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        EvaluationOptions(**changes)


def test_a_split_without_test_nodes_is_refused_before_any_teacher_is_asked() -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=90, classes=3))
    labels = graph.labels.copy()
    labels[40:] = -1  # hardly more labels than 20 a class take
    few = replace(graph, labels=labels)
    with pytest.raises(UntrainableError, match=r"in its val split|test split"):
        check_splits(few, EvaluationOptions(split_kind="20-per-class"))
    check_splits(graph, EvaluationOptions())


def test_runs_of_an_earlier_format_of_teachers_are_not_mixed_with_new_ones(tmp_path: Path) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=90, classes=3))
    options = EvaluationOptions()
    check_plan(tmp_path, graph, options)
    check_plan(tmp_path, graph, options)
    plan = json.loads((tmp_path / "plan.json").read_text())
    del plan["teacher_format"]
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(EvaluationError, match="holds an evaluation with other settings"):
        check_plan(tmp_path, graph, options)
