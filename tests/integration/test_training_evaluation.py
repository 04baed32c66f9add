"""The whole protocol on a small graph with a tiny teacher."""

import json
import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import mean

import pytest
from safetensors.torch import load_file, save_file

from tests.language_models import write_tiny_encoder
from training.config import Training, TrainingConfig
from training.data import GraphData
from training.distill import fit
from training.errors import EvaluationError, TeacherError
from training.evaluation import run
from training.evaluation.evaluate import evaluate, evaluate_all, report_again
from training.evaluation.folder import STAGE, Evaluation
from training.evaluation.plan import CHOSEN, EvaluationOptions
from training.evaluation.processes import PREPARING
from training.evaluation.rows import RUNS_FILE, Row, read_rows
from training.evaluation.splits import split_graph
from training.recipe_names import (
    COMBINED,
    GRAPH,
    GRAPH_BARE,
    HARD,
    LANGUAGE_FREE,
    PROPAGATED,
    RANDOM,
    SELF,
    SELF_BARE,
    VANILLA,
)
from training.student.checkpoint import CheckpointConfig
from training.student.network import Student
from training.teacher.encoder import EncoderOptions
from training.teacher.options import TeachOptions
from training.teacher.tuning import TuningOptions
from understudy.folders import FolderError
from understudy.graph import load_graph, save_graph
from understudy.graph.prompts import PromptOptions
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph


def small_evaluation(folder: Path) -> tuple[Path, EvaluationOptions]:
    """A graph folder, and options with a tiny teacher."""
    graph = synthetic_graph(SyntheticOptions(nodes=120, classes=3))
    save_graph(graph, folder / "graph")
    words = load_graph(folder / "graph").texts.to_pylist()
    options = EvaluationOptions(
        splits=2,
        seeds=1,
        students=("gcn",),
        encoders=("minilm",),
        recipes=(VANILLA, COMBINED, RANDOM, HARD, SELF),
        training=TrainingConfig(epochs=4),
        teacher=TeachOptions(
            f"encoder:{write_tiny_encoder(folder / 'bert', words)}",
            hops=(0, 1),
            prompts=PromptOptions(tokens=24),
            tuning=TuningOptions(epochs=1, learning_rate=1e-3),
            encoder=EncoderOptions(max_tokens=24),
        ),
    )
    return folder / "graph", options


def test_an_evaluation_runs_reports_grows_and_refuses_other_settings(tmp_path: Path) -> None:
    graph, options = small_evaluation(tmp_path)
    options = replace(options, trials=1)
    out = tmp_path / "out"
    report = evaluate(graph, out, options).read_text()
    assert "shuffled, and its features" in report
    assert "| hop0 |" in report
    runs = sorted((out / "runs").iterdir())
    assert len(runs) == 10
    summary = json.loads((out / "summary.json").read_text())
    assert {entry["recipe"] for entry in summary["summaries"]} == {*options.recipes, CHOSEN}
    rows = read_rows(out / RUNS_FILE).rows
    assert len(rows) == len(runs)
    for entry in summary["summaries"]:
        own = [run.test_accuracy for run in rows if run.recipe == entry["recipe"]]
        assert entry["recipe"] == CHOSEN or mean(own) == pytest.approx(entry["accuracy"])
    assert {run.teacher == "" for run in rows if run.recipe in LANGUAGE_FREE} == {True}
    assert all(run.taught_accuracy is None for run in rows if run.recipe == VANILLA)
    assert all(0 < (run.taught_accuracy or 0) <= 1 for run in rows if run.recipe != VANILLA)
    assert all(run.test == 24 and run.processor and run.versions for run in rows)

    kept = (out / "report.md").read_text()
    (out / "report.md").unlink()
    assert report_again(graph, out).read_text() == kept
    save_graph(synthetic_graph(SyntheticOptions(nodes=90, classes=3)), tmp_path / "other")
    with pytest.raises(EvaluationError, match="give the graph that was evaluated"):
        report_again(tmp_path / "other", out)
    for name in ("accuracy", "convergence", "reliability", "teacher", "map"):
        assert (out / f"{name}.png").stat().st_size > 1_000
    vanilla = json.loads((out / "search" / "minilm-gcn-vanilla.json").read_text())
    assert vanilla["strength"] == 1.0

    before = {path: path.stat().st_mtime_ns for path in runs}
    (out / "runs" / f"{runs[0].stem.rpartition('-')[0]}-seed9.json").write_text("of other seeds")
    grown = evaluate(graph, out, replace(options, recipes=(VANILLA, "unlabeled")))
    assert "above itself, smoothed" in grown.read_text()
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    assert len(list((out / "runs").iterdir())) == 13
    summary = json.loads((out / "summary.json").read_text())
    assert {entry["recipe"] for entry in summary["summaries"]} == {
        *options.recipes,
        CHOSEN,
        "unlabeled",
    }

    with pytest.raises(EvaluationError, match="other settings"):
        evaluate(graph, out, replace(options, training=TrainingConfig(epochs=9)))
    save_graph(split_graph(load_graph(graph), options.split_kind, seed=9), out / "splits" / "1")
    with pytest.raises(EvaluationError, match="holds a different split 1"):
        evaluate(graph, out, options)


def test_teachers_that_were_removed_after_their_runs_are_not_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    graph, options = small_evaluation(tmp_path)
    options = replace(options, recipes=(VANILLA, COMBINED))
    out = tmp_path / "out"
    before = evaluate(graph, out, options).read_text()
    assert "| hop0 |" in before
    shutil.rmtree(out / "teachers")
    shutil.rmtree(tmp_path / "bert")
    again = evaluate(graph, out, options).read_text()
    assert not (out / "teachers").exists()
    assert "removed after their runs (of the splits: 0, 1)" in caplog.text
    assert "| hop0 |" not in again
    heading = "## Test accuracy"
    assert (
        again[again.index(heading) :].splitlines()[:9]
        == before[before.index(heading) :].splitlines()[:9]
    )


def test_processes_share_an_evaluation_and_end_where_one_fails(tmp_path: Path) -> None:
    graph, options = small_evaluation(tmp_path)
    options = replace(options, recipes=(VANILLA, "unlabeled"))
    evaluate(graph, tmp_path / "alone", options)
    together = tmp_path / "together"
    evaluate(graph, together, replace(options, recipes=(VANILLA,)))
    obstacle = together / "teachers" / "1"
    obstacle.parent.mkdir(parents=True)
    obstacle.write_text("no teacher folder")
    with pytest.raises(FolderError, match="teachers/1 is a file"):
        evaluate(graph, together, options, processes=2)
    assert not multiprocessing.active_children()
    obstacle.unlink()

    few = replace(options, split_kind="20-per-class", recipes=(VANILLA,), encoders=("hashing",))
    both = [Evaluation(graph, together, options), Evaluation(graph, tmp_path / "few", few)]
    stages: list[str] = []
    reports = evaluate_all(both, processes=2, progress=lambda stage, *_: stages.append(stage))
    assert set(stages) == {PREPARING, STAGE}
    assert [path.parent.name for path in reports] == ["together", "few"]
    assert all(path.is_file() for path in reports)
    assert {row.split_kind for row in measured(tmp_path / "few")} == {"20-per-class"}
    assert (together / "plan.json").read_text() == (tmp_path / "alone" / "plan.json").read_text()
    assert [measured(together), measured(together)] == [measured(tmp_path / "alone")] * 2


def measured(out: Path) -> list[Row]:
    """Runs without what differs between two of the same."""
    rows = read_rows(out / RUNS_FILE).rows
    return [replace(row, seconds=0.0, date="", command="") for row in rows]


def test_controls_without_a_language_model_ask_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[CheckpointConfig] = []

    def counted(config: CheckpointConfig, data: GraphData) -> tuple[Student, Training]:
        trained.append(config)
        return fit(config, data)

    monkeypatch.setattr(run, "fit", counted)
    graph, options = small_evaluation(tmp_path)
    recipes = (VANILLA, PROPAGATED, SELF, SELF_BARE, GRAPH, GRAPH_BARE)
    options = replace(options, encoders=("hashing",), recipes=recipes, splits=1)
    evaluate(graph, tmp_path / "out", options)
    assert not (tmp_path / "out" / "teachers").exists()
    found = {row.recipe: row for row in read_rows(tmp_path / "out" / RUNS_FILE).rows}
    assert list(found) == list(recipes)
    assert {row.teacher for row in found.values()} == {""}
    assert found[GRAPH].taught_accuracy != found[SELF].taught_accuracy
    # the student on labels alone is the one that teaches; the graph network is one more
    assert found[SELF_BARE].taught_accuracy == pytest.approx(found[VANILLA].test_accuracy)
    assert len(trained) == len(recipes) + 1
    reports: list[tuple[int, int]] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == STAGE:
            reports.append((done, total))

    next((tmp_path / "out" / "runs").glob(f"*-{SELF_BARE}-*")).unlink()
    evaluate(graph, tmp_path / "out", options, progress)
    assert reports == [(5, 6), (6, 6)]  # what was there is no work of this call


def test_other_weights_of_the_teacher_are_not_mixed_with_earlier_runs(tmp_path: Path) -> None:
    graph, options = small_evaluation(tmp_path)
    options = replace(options, recipes=(VANILLA, "unlabeled"), splits=1)
    evaluate(graph, tmp_path / "out", options)
    weights = tmp_path / "bert" / "model.safetensors"
    before, kept = weights.read_bytes(), measured(tmp_path / "out")
    description = (tmp_path / "out" / "teachers" / "0" / "teacher.json").read_bytes()
    # of the same size, as another training of the same model is
    save_file({name: value + 0.5 for name, value in load_file(weights).items()}, weights)
    for _ in range(2):
        with pytest.raises(TeacherError, match="has other weights now"):
            evaluate(graph, tmp_path / "out", replace(options, splits=2))
    assert (tmp_path / "out" / "teachers" / "0" / "teacher.json").read_bytes() == description
    weights.write_bytes(before)
    evaluate(graph, tmp_path / "out", replace(options, splits=2))
    assert [row for row in measured(tmp_path / "out") if row.split == 0] == kept


def test_another_tokenizer_of_the_teacher_is_not_mixed_with_earlier_runs(tmp_path: Path) -> None:
    graph, options = small_evaluation(tmp_path)
    options = replace(options, recipes=(VANILLA, "unlabeled"), splits=1)
    evaluate(graph, tmp_path / "out", options)
    description = (tmp_path / "out" / "teachers" / "0" / "teacher.json").read_bytes()
    tokenizer = tmp_path / "bert" / "tokenizer.json"
    before = tokenizer.read_bytes()
    tokenizer.write_bytes(before + b"\n")  # whatever differs, it may read otherwise
    for splits in (1, 2):
        with pytest.raises(TeacherError, match="has another tokenizer, chat template or configu"):
            evaluate(graph, tmp_path / "out", replace(options, splits=splits))
    assert (tmp_path / "out" / "teachers" / "0" / "teacher.json").read_bytes() == description
    tokenizer.write_bytes(before)
    evaluate(graph, tmp_path / "out", options)
