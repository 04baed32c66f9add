"""Parts of a refresh that need no training."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.app import create_app
from service.settings import Settings
from tests import http_servers
from tests.bundles import TinyBundle, write_tiny_bundle
from understudy.bundle import open_bundle
from understudy.engine import Engine, Node
from understudy.engine.other_graph import accuracy_of, logits_on
from understudy.folders import OutputRefusedError
from understudy.graph.mutable.differences import count_differences
from understudy.graph.mutable.materialize import to_text_graph
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, UpsertNode
from understudy.retraining.errors import RefreshError
from understudy.retraining.options import (
    RefreshOptions,
    asks_the_hard_ones,
    distill_words,
    objectives_kept,
    teach_words,
)
from understudy.retraining.placing import put_copy
from understudy.retraining.refreshing import Refresh
from understudy.retraining.rounds import FILE, Round, read_round, write_round
from understudy.retraining.services import addresses_of
from understudy.retraining.uncertainty import write_doubts

CONFIG: dict[str, Any] = {
    "training": {
        "epochs": 7,
        "patience": 3,
        "learning_rate": 0.01,
        "weight_decay": 0.1,
        "fanout": 5,
        "seed": 2,
    },
    "student": {"dropout": 0.25, "input_dropout": 0.0},
    "terms": {"cross_entropy": 0.5, "kd": 2.0},
    "objectives": {"temperature": 3.0},
}


def change(engine: Engine) -> None:
    mutations: list[Mutation] = [
        UpsertNode("new", "json atom", label="games"),
        AddEdge("new", "node-1"),
        UpsertNode("node-5", "other words"),
        UpsertNode("node-6", label="games"),
    ]
    engine.apply(mutations)
    engine.apply([DeleteNode("node-9")])


def test_another_graph_s_answers_are_those_of_an_engine_that_has_it(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    with Engine.open(tiny_bundle.folder) as engine:
        base = to_text_graph(engine.state.graph)
        degree = len(base.adjacency.neighbors(base.index_of["node-9"]))
        same = base.labels[base.index_of["node-6"]] == base.label_names.index("games")
        change(engine)
        graph = to_text_graph(engine.state.graph)
        counts = count_differences(base, graph)
        assert (counts.added, counts.removed, counts.reworded) == (1, 1, 1)
        assert (counts.linked, counts.unlinked) == (1, degree)
        assert counts.labelled == (1 if same else 2)
        assert count_differences(graph, graph).nothing
        names, logits = logits_on(tiny_bundle.folder, graph)
        rows = engine.state.rows(graph.ids.to_pylist())
        assert logits == pytest.approx(engine.state.logits(rows), abs=1e-4)
        best = [names[label] for label in engine.state.best_labels(rows)]
    nodes = [place for place, label in enumerate(graph.labels) if label >= 0]
    right = [best[node] == graph.label_names[graph.labels[node]] for node in nodes]
    found = accuracy_of(names, logits, graph, np.array(nodes))
    assert found == pytest.approx(sum(right) / len(right))
    # a label that the model does not know is never right
    unknown = accuracy_of(tuple(f"no {name}" for name in names), logits, graph, np.array(nodes))
    assert unknown == 0


def test_a_round_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_round(tmp_path) is None
    one = Round("about", "version", ["graph"], served=80.0)
    write_round(tmp_path, one)
    assert read_round(tmp_path) == one
    for damage in ("{", "[]", '{"about": 1, "colour": 2}'):
        (tmp_path / FILE).write_text(damage)
        with pytest.raises(RefreshError, match="is damaged"):
            read_round(tmp_path)
    (tmp_path / FILE).write_text(json.dumps({"about": "", "before": "", "refresh_format": 9}))
    with pytest.raises(RefreshError, match="has format 9"):
        read_round(tmp_path)


def test_commands_are_told_what_the_student_was_trained_with(tmp_path: Path) -> None:
    alone = RefreshOptions("url", tmp_path, tmp_path)
    words = list(map(str, distill_words(alone, CONFIG, 0.9, tmp_path / "teacher")))
    assert " ".join(words) == (
        "--epochs 7 --device auto --patience 3 --learning-rate 0.01 --weight-decay 0.1 --fanout 5 "
        "--seed 2 --dropout 0.25 --input-dropout 0.0 --auto-accuracy 0.9"
    )
    own = {"precision": "bfloat16", "batch_size": 512}
    trained_so = CONFIG | {"training": {**CONFIG["training"], **own}}
    other = RefreshOptions("url", tmp_path, tmp_path, device="cuda:1")
    words = list(map(str, distill_words(other, trained_so, 0.9, tmp_path / "teacher")))
    assert words[2:4] == ["--device", "cuda:1"]
    for name, value in (("--precision", "bfloat16"), ("--batch-size", "512")):
        assert words[words.index(name) + 1] == value
    whole = CONFIG | {"training": {**CONFIG["training"], "batch_size": 0}}
    assert "--batch-size" not in distill_words(alone, whole, 0.9, tmp_path / "teacher")
    taught = RefreshOptions(
        "url", tmp_path, tmp_path, teacher="gemma", budget=9, teach_options="--hops '0,1'"
    )
    words = list(map(str, distill_words(taught, CONFIG, 0.9, Path("teacher"))))
    assert words[-8:] == [
        *("--teacher", "teacher", "--objective", "cross_entropy=0.5", "--objective", "kd=2.0"),
        *("--temperature", "3.0"),
    ]
    assert teach_words(taught) == ["--teacher", "gemma", "--hops", "0,1", "--budget", 9]
    # A view that was asked for by name is asked for again, one that was the best is not.
    for named in (True, False):
        heard = CONFIG | {"teacher": {"kind": "causal", "view": "reached", "view_named": named}}
        words = list(map(str, distill_words(taught, heard, 0.9, Path("teacher"))))
        assert (words[words.index("--teacher") + 2 :][:2] == ["--view", "reached"]) == named
        foreign = objectives_kept(heard, "endpoint")
        assert "--view" not in distill_words(taught, foreign, 0.9, Path("teacher"))


def test_another_kind_of_teacher_brings_other_objectives(tmp_path: Path) -> None:
    taught = CONFIG | {"teacher": {"kind": "encoder"}}
    for config in (CONFIG, CONFIG | {"teacher": None}, taught):
        assert objectives_kept(config, "encoder") is config
    options = RefreshOptions("url", tmp_path, tmp_path, teacher="openai:http://a/v1#b")
    other = objectives_kept(taught, "endpoint")
    words = list(map(str, distill_words(options, other, 0.9, Path("teacher"))))
    assert words[-2:] == ["--teacher", "teacher"]


def test_a_teacher_with_a_budget_is_asked_about_what_the_served_model_is_unsure_of(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    with Engine.open(tiny_bundle.folder) as engine:
        change(engine)
        graph = to_text_graph(engine.state.graph)
        names = graph.ids.to_pylist()
        predictions = engine.classify([Node(id=name) for name in names])
    write_doubts(tiny_bundle.folder, graph, tmp_path / "hard.json")
    found = json.loads((tmp_path / "hard.json").read_text())
    assert list(found) == names
    assert list(found.values()) == pytest.approx(
        [1 - (p.score or 0) for p in predictions], abs=1e-4
    )
    limited = RefreshOptions("url", tmp_path, tmp_path, teacher="gemma", budget=9)
    assert asks_the_hard_ones(limited)
    assert teach_words(limited, Path("hard.json"))[-2:] == ["--budget-hard", Path("hard.json")]
    assert asks_the_hard_ones(replace(limited, budget=0, teach_options="--budget-money=3"))
    for said in ("--budget-choice random", "--budget-hard mine.json"):
        assert not asks_the_hard_ones(replace(limited, teach_options=said))
    assert not asks_the_hard_ones(replace(limited, budget=0, teach_options="--max-nodes 3"))


def test_all_addresses_of_a_name() -> None:
    assert addresses_of("http://127.0.0.1:81/below") == ["http://127.0.0.1:81/below"]
    with pytest.raises(RefreshError, match="needs an http address"):
        addresses_of("https://127.0.0.1")
    with pytest.raises(RefreshError, match="cannot be resolved"):
        addresses_of("http://no-such-host.invalid:80")


def test_a_bundle_is_put_in_the_place_of_another(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    other = write_tiny_bundle(tmp_path / "other", seed=12)
    put_copy(tiny_bundle.folder, tmp_path / "served")
    put_copy(other.folder, tmp_path / "served")
    served, source = open_bundle(tmp_path / "served"), open_bundle(other.folder)
    assert served.manifest.version == source.manifest.version


@pytest.fixture
def refreshed(tiny_bundle: TinyBundle, tmp_path: Path) -> Callable[..., None]:
    """Refreshes a data folder with a change; commands fail at once, with that status."""

    def run(status: int, tell: Callable[[str], object]) -> None:
        options = RefreshOptions(
            str(tmp_path / "data"), tmp_path / "bundle", tmp_path / "work", tmp_path / "student"
        )
        Refresh(options, tell, lambda *_: status).run()

    put_copy(tiny_bundle.folder, tmp_path / "bundle")
    with Engine.open(tmp_path / "bundle", data=tmp_path / "data") as engine:
        change(engine)
    (tmp_path / "student").mkdir()
    shape = {"format_version": 3, "graph_hash": "", "graph_path": "", "encoder": {}}
    (tmp_path / "student" / "config.json").write_text(json.dumps(CONFIG | shape))
    return run


def test_what_was_interrupted_goes_on_and_what_failed_begins_anew(
    refreshed: Callable[..., None], tmp_path: Path
) -> None:
    lines: list[str] = []
    with pytest.raises(RefreshError, match="ended with status 143; the served model stays"):
        refreshed(143, lines.append)
    assert lines[0].startswith("graph: version 2; served model: version 0; 1 node added, 1 rem")
    lines.clear()
    with pytest.raises(
        RefreshError, match="was killed by signal 9, as happens when memory runs out;"
    ):
        refreshed(-9, lines.append)
    assert lines[0] == "resuming the earlier run; done: graph"
    lines.clear()
    with pytest.raises(RefreshError, match="ended with status 1;"):
        refreshed(1, lines.append)
    assert lines[0] == "resuming the earlier run; done: graph"
    lines.clear()
    with pytest.raises(RefreshError, match="ended with status 1;"):
        refreshed(1, lines.append)
    assert lines[0].startswith("graph: version 2")


def test_a_class_that_the_new_model_will_not_know_is_told(
    refreshed: Callable[..., None], tmp_path: Path
) -> None:
    lines: list[str] = []
    with pytest.raises(RefreshError):
        refreshed(1, lines.append)
    assert not any("any more" in line for line in lines)
    with Engine.open(tmp_path / "bundle", data=tmp_path / "data") as engine:
        graph = to_text_graph(engine.state.graph)
        of_class = graph.labels == graph.label_names.index("net")
        engine.apply([DeleteNode(graph.ids[node].as_py()) for node in np.flatnonzero(of_class)])
    with pytest.raises(RefreshError):
        refreshed(1, lines.append)
    warning = "labels: 'net' has no node any more, so the new model will not know it"
    assert lines.count(warning) == 1


def test_what_cannot_be_done_is_refused_before_any_work(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "mine" / "graph").mkdir(parents=True)
    put_copy(tiny_bundle.folder, tmp_path / "work" / "bundle")
    given = RefreshOptions(str(tmp_path / "data"), tiny_bundle.folder, tmp_path / "fresh")
    refused: list[tuple[dict[str, Any], str]] = [
        ({"budget": 5}, "--budget needs a teacher; name one"),
        ({"teacher": "gemma", "teach_options": "'"}, "--teach-options"),
        ({"work": tmp_path / "mine"}, "contains graph and is not the folder of an earlier"),
        ({"work": tiny_bundle.folder / "manifest.json"}, "is a file"),
    ]
    for wrong, words in refused:
        with pytest.raises(RefreshError, match=words):
            Refresh(replace(given, **wrong), print)
    (tmp_path / "work" / FILE).write_text("{}")
    inside = replace(given, bundle=tmp_path / "work" / "bundle", work=tmp_path / "work")
    with pytest.raises(OutputRefusedError):  # what is served is never what is worked on
        Refresh(inside, print)
    assert not (tmp_path / "fresh").exists()


def test_the_student_to_begin_with_has_to_be_named(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path / "data") as engine:
        change(engine)
    options = RefreshOptions(str(tmp_path / "data"), tiny_bundle.folder, tmp_path / "work")
    with pytest.raises(RefreshError, match="with --student"):
        Refresh(options, print).run()


def test_a_student_whose_bundle_was_put_in_place_by_hand_is_begun_with(
    refreshed: Callable[..., None], tmp_path: Path
) -> None:
    """As after --no-reload; --student cannot name it, since the next one is written there."""
    served, work = open_bundle(tmp_path / "bundle").manifest, tmp_path / "work"
    put_copy(tmp_path / "student", work / "candidate")
    write_round(work, Round("another", served.version))
    lines: list[str] = []
    with pytest.raises(RefreshError, match="ended with status 1"):
        refreshed(1, lines.append)
    assert f"--from {tmp_path / 'student'}" in lines[-1]
    config = work / "candidate" / "config.json"
    there = json.loads(config.read_text()) | {"graph_hash": served.graph.content_hash}
    config.write_text(json.dumps(there))
    (work / "candidate" / "metrics.json").write_text(json.dumps(served.metrics))
    with pytest.raises(RefreshError, match="ended with status 1"):
        refreshed(1, lines.append)
    assert f"--from {work / 'student'}" in lines[-1]
    assert json.loads((work / "student" / "config.json").read_text()) == there


def test_a_service_that_refuses_the_bundle_gets_the_old_one_s_folder_back(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    bundle, work = tmp_path / "bundle", tmp_path / "work"
    put_copy(tiny_bundle.folder, bundle)
    write_tiny_bundle(work / "bundle", seed=12)
    first = open_bundle(bundle).manifest.version
    (work / FILE).write_text("{}")
    # an engine that was not opened from a folder by the service takes no other
    url, stop = http_servers.serve(create_app(Engine.open(bundle), Settings()))
    try:
        refresh = Refresh(RefreshOptions(url, bundle, work), print)
        write_round(work, Round(refresh.about(), first, ["graph", "student", "bundle", "gate"]))
        with pytest.raises(RefreshError, match="the old one was put back"):
            refresh.run()
    finally:
        stop()
    assert open_bundle(bundle).manifest.version == first
    last = read_round(work)
    assert last is not None
    assert (last.ended, last.refused) == (True, True)


@pytest.mark.parametrize("name", ["tolerance", "timeout"])
def test_no_model_is_served_because_its_loss_was_compared_with_no_number(
    name: str, tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    asked = RefreshOptions(str(tmp_path), tiny_bundle.folder, tmp_path / "work")
    with pytest.raises(RefreshError, match=f"--{name} must be a number, not nan"):
        Refresh(replace(asked, **{name: float("nan")}), print)  # type: ignore[arg-type]
