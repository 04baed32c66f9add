"""Plans of an evaluation: splits, recipes, searches."""

import json
import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from training.errors import EvaluationError, TrainingError
from training.evaluation.evaluate import check_plan, check_splits, evaluate, whole_sets
from training.evaluation.folder import EvaluationFolder
from training.evaluation.plan import Choice, EvaluationOptions, run_keys
from training.evaluation.run import best_choice, reliability
from training.evaluation.splits import (
    OWN,
    SPLIT_KINDS,
    TRAIN_A_CLASS,
    WITHHELD,
    split_graph,
    withheld_nodes,
)
from training.interface.evaluate import evaluate as evaluate_in_python
from training.recipe_names import COMBINED, HARD, RANDOM, VANILLA
from training.recipes import RECIPES, recipe_weights
from training.teacher.encoder import EncoderOptions
from training.teacher.options import TeachOptions
from understudy.graph import save_graph
from understudy.graph.errors import UntrainableError
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph
from understudy.progress import silent

DRAWN = [kind for kind in SPLIT_KINDS if kind != OWN]


@pytest.mark.parametrize("kind", DRAWN)
def test_splits_are_disjoint_repeatable_and_follow_the_seed(kind: str) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=600, classes=4))
    first, again, other = (split_graph(graph, kind, seed).splits for seed in (0, 0, 1))
    members = np.concatenate(list(first.values()))
    assert len(np.unique(members)) == len(members) == 600
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["test"], other["test"])
    if kind in TRAIN_A_CLASS:
        assert np.bincount(graph.labels[first["train"]]).tolist() == [TRAIN_A_CLASS[kind]] * 4


@pytest.mark.parametrize("kind", DRAWN)
def test_no_part_of_a_split_has_a_node_whose_group_another_part_has(kind: str) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=600, classes=4))
    groups = np.random.default_rng(0).integers(0, 300, graph.num_nodes)
    found = split_graph(replace(graph, groups=groups), kind, 0).splits
    for one, other in combinations(found.values(), 2):
        assert len(one) >= 20
        assert not np.intersect1d(groups[one], groups[other]).size
    if kind in TRAIN_A_CLASS:
        assert np.bincount(graph.labels[found["train"]]).tolist() == [TRAIN_A_CLASS[kind]] * 4


def test_validation_has_each_class_as_often_as_what_training_leaves() -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=2_100, classes=21))
    labels = np.array([*np.repeat(np.arange(20), 30), *[20] * 1_500])  # one class of many nodes
    graph = replace(graph, labels=labels)
    splits = [split_graph(graph, "20-per-class", seed).splits for seed in range(10)]
    shares = [np.mean(labels[split["val"]] < 20) for split in splits]
    assert np.mean(shares) == pytest.approx(200 / 1_680, abs=0.02)


def test_a_graphs_own_split_is_taken_as_it_is_and_once() -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=90, classes=3))
    assert split_graph(graph, OWN, 0) is graph
    with pytest.raises(EvaluationError, match=r"is one: ask for one split \(--splits 1\)"):
        EvaluationOptions(split_kind=OWN)
    assert EvaluationOptions(split_kind=OWN, splits=1).splits == 1


def test_a_fifth_of_the_test_nodes_is_taken_out_with_all_edges_and_nothing_else() -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=600, classes=4))
    whole = split_graph(graph, "20-per-class", 3)
    rest = split_graph(graph, "20-per-class", 3, withheld=WITHHELD)
    out = withheld_nodes(whole.splits["test"], 3)
    assert len(out) == round(WITHHELD * len(whole.splits["test"])) > 50
    assert set(rest.ids.to_pylist()) == set(whole.ids.to_pylist()) - {
        str(whole.ids[node]) for node in out.tolist()
    }
    kept = np.setdiff1d(np.arange(600), out)
    assert rest.adjacency.num_edges == whole.adjacency.induced(kept).num_edges
    for name in ("train", "val"):
        before, after = (g.ids.take(pa.array(g.splits[name])) for g in (whole, rest))
        assert before.equals(after)


def test_controls_have_the_weights_of_the_combination() -> None:
    assert recipe_weights(VANILLA) == {"cross_entropy": 1}
    assert recipe_weights(RANDOM) == recipe_weights(COMBINED)
    assert recipe_weights(HARD).keys() < recipe_weights(COMBINED).keys()
    assert recipe_weights("kd", strength=3.0) == {"cross_entropy": 1, "kd": 3}
    assert all(recipe_weights(recipe)["cross_entropy"] == 1 for recipe in RECIPES)


def test_every_run_has_a_name_of_its_own() -> None:
    options = EvaluationOptions()
    keys = list(run_keys(options))
    assert len({key.name for key in keys}) == len(keys) == 10 * 2 * 2 * 4 * len(RECIPES)


def test_unknown_names_are_told() -> None:
    with pytest.raises(EvaluationError, match="unknown recipe"):
        EvaluationOptions(recipes=("alchemy",))
    with pytest.raises(EvaluationError, match="unknown kind of split"):
        EvaluationOptions(split_kind="thirds")


def test_one_word_is_not_read_as_the_names_of_its_letters(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"students takes several values, such as \['sage'\]"):
        evaluate_in_python(tmp_path / "graph", tmp_path / "out", students="sage")


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
        ({"splits": 0}, "splits must be a whole number of at least 1: 0"),
        ({"trials": -1}, "trials must be a whole number of at least 0: -1"),
        ({"hidden": 30}, r"hidden \(30\) must be a multiple of heads"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        EvaluationOptions(**changes)


def test_a_split_without_test_nodes_is_refused_before_any_teacher_is_asked() -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=90, classes=3))
    labels = graph.labels.copy()
    labels[40:] = -1  # hardly more labels than 20 a class take
    few = replace(graph, labels=labels)
    with pytest.raises(UntrainableError, match="too few labelled nodes for a val split"):
        check_splits(few, EvaluationOptions(split_kind="20-per-class"))
    check_splits(graph, EvaluationOptions())
    exact = synthetic_graph(SyntheticOptions(nodes=60, classes=3))
    with pytest.raises(UntrainableError, match="for a val split at 20-per-class; label more, or"):
        check_splits(exact, EvaluationOptions(split_kind="20-per-class"))
    untested = replace(exact, splits={**exact.splits, "test": exact.splits["test"][:0]})
    own = EvaluationOptions(split_kind=OWN, splits=1)
    with pytest.raises(UntrainableError, match="no labelled node in its test split; give some"):
        check_splits(untested, own)


def test_a_width_that_another_network_cannot_have_ends_no_evaluation(tmp_path: Path) -> None:
    options = EvaluationOptions(splits=1, seeds=1, students=("sage",), hidden=9)
    with pytest.raises(TrainingError, match="must be a multiple of heads"):
        replace(options, students=("gat",))
    (tmp_path / "runs").mkdir()
    for key in run_keys(replace(options, recipes=(VANILLA,))):
        (tmp_path / "runs" / f"{key.name}.json").write_text(json.dumps({"encoder": key.encoder}))
    kept = whole_sets(tmp_path, options)
    assert sorted(result["encoder"] for result in kept) == ["hashing", "minilm"]


@pytest.mark.parametrize("damaged", ["{", "[]"])
def test_a_damaged_run_is_named_before_others_are_run(tmp_path: Path, damaged: str) -> None:
    graph, out = synthetic_graph(SyntheticOptions(nodes=90, classes=3)), tmp_path / "out"
    save_graph(graph, tmp_path / "graph")
    options = EvaluationOptions(splits=1, seeds=2, students=("sage",), recipes=(VANILLA,))
    check_plan(out, graph, options)
    run = out / "runs" / f"{next(run_keys(options)).name}.json"
    run.parent.mkdir()
    run.write_text(damaged)
    with pytest.raises(EvaluationError, match=rf"{run.name} is .*; remove it, and the same"):
        evaluate(tmp_path / "graph", out, options)
    assert list(run.parent.iterdir()) == [run]


@pytest.mark.parametrize("damaged", ["{", "[]"])
def test_a_damaged_plan_or_search_is_named(tmp_path: Path, damaged: str) -> None:
    graph, out = synthetic_graph(SyntheticOptions(nodes=90, classes=3)), tmp_path / "out"
    options = EvaluationOptions(trials=2)
    check_plan(out, graph, options)
    key = next(run_keys(options))
    search = out / "search" / f"{key.encoder}-{key.student}-{key.recipe}.json"
    search.parent.mkdir()
    search.write_text(damaged)
    with pytest.raises(EvaluationError, match=rf"{search.name} is .*; remove it, and the same"):
        EvaluationFolder(graph, out, options, silent).choice(key)
    (out / "plan.json").write_text(damaged)  # of what settings its runs are nobody knows
    with pytest.raises(EvaluationError, match=r"plan.json is .*; choose another folder, or remove"):
        check_plan(out, graph, options)


@pytest.mark.parametrize("name", ["meta.json", "nodes.parquet"])
def test_a_damaged_split_is_drawn_again_when_it_is_removed(tmp_path: Path, name: str) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=90, classes=3))
    folder = EvaluationFolder(graph, tmp_path, EvaluationOptions(), silent)
    place, drawn = folder.split(0)
    (place / name).unlink()
    with pytest.raises(EvaluationError, match="splits/0 is damaged; remove it, and the same comma"):
        folder.teacher(0)
    shutil.rmtree(place)
    assert folder.split(0)[1].content_hash == drawn.content_hash


def test_runs_of_an_earlier_format_of_teachers_are_not_mixed_with_new_ones(tmp_path: Path) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=90, classes=3))
    options = EvaluationOptions()
    check_plan(tmp_path, graph, options)
    check_plan(tmp_path, graph, options)
    plan = json.loads((tmp_path / "plan.json").read_text())
    del plan["teacher_format"]
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(EvaluationError, match=r"other settings \(teacher_format\)"):
        check_plan(tmp_path, graph, options)


def test_an_option_that_is_younger_than_an_evaluation_had_its_default_then(tmp_path: Path) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=90, classes=3))
    check_plan(tmp_path, graph, EvaluationOptions())
    plan = json.loads((tmp_path / "plan.json").read_text())
    del plan["teacher"]["encoder"]["bf16"]
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    check_plan(tmp_path, graph, EvaluationOptions())
    other = EvaluationOptions(teacher=TeachOptions(encoder=EncoderOptions(bf16=True)))
    with pytest.raises(EvaluationError, match=r"other settings \(teacher\.encoder\.bf16\)"):
        check_plan(tmp_path, graph, other)
