"""The comparison of the ways to run a stage; without a cluster."""

import json
from pathlib import Path

import pytest

from benchmarks.ray_stages.passes import BUNDLE, ROWS, predicted, write_texts
from benchmarks.ray_stages.stages import distill_results, report, taught
from benchmarks.ray_stages.ways import ALONE, BESIDE, KILLED, ONE, TWO, Figures, placed
from tests.bundles import TinyBundle
from tests.language_models import write_tiny_encoder
from training.teacher.encoder import EncoderOptions
from training.teacher.options import Budget, TeachOptions
from understudy.graph import save_graph
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph


def test_two_workers_are_held_against_one_and_the_killed_one_against_two() -> None:
    found = {
        ALONE.name: Figures(val_accuracy=[0.5, 0.6, 0.7], compared_seconds=[9.0, 11.0]),
        BESIDE.name: Figures(val_accuracy=[0.5, 0.5], compared_seconds=[11.0, 12.0]),
        ONE.name: Figures(seconds=100.0, training_seconds=80.0),
        TWO.name: Figures(seconds=60.0, training_seconds=40.0, val_accuracy=[0.52, 0.62, 0.63]),
        KILLED.name: Figures(val_accuracy=[0.52]),
    }
    values = distill_results(found)
    assert (values.ratio, values.training_ratio) == (0.6, 0.5)
    assert values.difference == pytest.approx(-0.01)
    assert values.spread == pytest.approx(0.1)
    assert values.killed_is_the_same
    assert values.left_by_the_machine == pytest.approx(11.5 / 10 / 2)
    text = report("distill", found, "a graph")
    assert "| one worker | 100.0 | 80.0 |" in text
    assert "With one killed the student is the same." in text
    found[KILLED.name].val_accuracy = [0.53]
    assert "is ANOTHER" in report("distill", found, "a graph")


def test_answers_that_differ_are_told() -> None:
    found = {way.name: Figures(10.0, "same") for way in (ALONE, ONE, TWO, KILLED)}
    assert "are equal, byte for byte" in report("teach", found, "a graph")
    found[TWO.name].answers = "other"
    assert "are NOT equal" in report("teach", found, "a graph")


def test_the_way_without_ray_is_measured_as_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", "")  # so that it is put back
    graph = synthetic_graph(SyntheticOptions(nodes=40, classes=2))
    save_graph(graph, tmp_path / "graph")
    model = write_tiny_encoder(tmp_path / "model", graph.texts.to_pylist())
    asking = TeachOptions(
        f"encoder:{model}", (0,), encoder=EncoderOptions(frozen=True), budget=Budget(nodes=10)
    )
    with placed(ALONE, tmp_path) as place:
        figures = taught(place, asking)
    assert figures.seconds > 0
    assert len(figures.answers) == 64


def test_passes_are_compared_by_their_bytes_and_with_those_without_ray() -> None:
    found = {way.name: Figures(10.0, "same", 2e-7) for way in (ONE, TWO, KILLED)}
    found[ALONE.name] = Figures(8.0, "other")
    text = report("export", found, "a graph")
    assert "give the same bytes; those without Ray are not the same, with a largest" in text
    assert "difference of 2e-07" in text
    found[KILLED.name].answers = "another"
    assert "give OTHER bytes" in report("predict", found, "a graph")


def test_predictions_without_ray_are_measured_as_the_others(
    tmp_path: Path, tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", "")  # so that it is put back
    (tmp_path / BUNDLE).symlink_to(tiny_bundle.folder)
    write_texts(tiny_bundle.graph, 20, tmp_path / ROWS)
    with placed(ALONE, tmp_path) as place:
        figures = predicted(place)
    assert figures.seconds > 0
    answers = place.out.with_suffix(".jsonl").read_text().splitlines()
    assert len(answers) == 20
    assert all(json.loads(answer)["label"] for answer in answers)
