"""The picture of accuracy over latency from committed files; the cost of a million answers."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.accuracy.page import committed
from benchmarks.common.results import RESULTS, read_results
from benchmarks.cost import Answers, CostResults, HostedPrice, dollars, measured, price
from benchmarks.cost import report as cost_report
from benchmarks.errors import BenchmarkError
from benchmarks.latency import Latencies
from benchmarks.plane import points as plane
from benchmarks.plane.picture import draw, picture
from tests.unit.training.evaluation.rows import rows
from tests.unit.training.evaluation.test_rows import ALONE, FACTS, sample_rows
from training.evaluation.rows import RUNS_FILE, Row, write_rows
from training.recipe_names import UNSMOOTHED

LATENCIES = read_results(RESULTS / "latency.json", Latencies)


def taught_by_minilm() -> list[Row]:
    taught = rows(UNSMOOTHED, ALONE, taught_accuracy=0.7, teacher="MiniLM, frozen")
    wider = [replace(row, taught_accuracy=0.6) for row in taught[:1]] + taught[1:]
    return [*sample_rows(), *wider]


def test_points_have_intervals_over_splits_and_the_latency_of_their_encoder() -> None:
    found = list(plane.student_points(sample_rows(), LATENCIES))
    assert [point.name for point in found] == [
        "GraphSAGE on hashed text, labels alone",
        "GraphSAGE on hashed text, taught by itself, smoothed",
        "GraphSAGE on hashed text, taught by a GraphSAGE on MiniLM, smoothed",
        "GraphSAGE on hashed text, taught by a model, smoothed",
    ]
    alone, *_, taught = found
    assert (alone.taught, taught.taught) == (False, True)
    assert alone.accuracy == pytest.approx(50.0)
    assert alone.splits == 4
    # t of 3 degrees of freedom is 3.182; the deviation of 50, 52, 48, 50 is 1.633
    assert alone.high == pytest.approx(50 + 3.182 * 1.633 / 2, abs=0.01)
    timed = LATENCIES.latency["student (murmur3-log-unit/1), in process, unseen, 8 words"]
    assert (alone.p50, alone.p95) == (timed.p50, timed.p95)


def test_a_teacher_is_placed_by_what_it_answered_itself() -> None:
    (found,) = plane.teacher_points(taught_by_minilm(), LATENCIES)
    assert found.name == "MiniLM, frozen, asked"
    assert found.accuracy == pytest.approx(67.5)
    assert found.p50 == LATENCIES.latency["MiniLM, unseen, 8 words"].p50
    strangers = rows(UNSMOOTHED, ALONE, taught_accuracy=0.7, teacher="another, tuned")
    with pytest.raises(BenchmarkError, match="'another, tuned' is not one that `bench latency`"):
        list(plane.teacher_points(strangers, LATENCIES))


def test_the_plane_is_drawn_from_runs(tmp_path: Path) -> None:
    (tmp_path / "kites").mkdir()
    write_rows(tmp_path / "kites" / RUNS_FILE, taught_by_minilm(), FACTS)
    records = committed(tmp_path)
    (record,) = plane.of_graph(records, "kites", "60/20/20")
    beside = dict.fromkeys(("kites-unseen", "kites-seen"), records["kites"])
    assert plane.of_graph(records | beside, "kites", "60/20/20") == [record]
    with pytest.raises(BenchmarkError, match="no runs of kites at own are in"):
        plane.of_graph(records, "kites", "own")
    points = [
        *plane.student_points(record.rows, LATENCIES),
        *plane.teacher_points(record.rows, LATENCIES),
    ]
    points += plane.own_split_teachers(RESULTS / "teachers_cora.json", LATENCIES, points)
    assert points[-1].name == "Gemma 3 270M, tuned, asked; own split"
    assert points[-1].low is None  # of one split
    assert points[-1].accuracy == pytest.approx(76.9)  # its best view by validation, not smoothed
    assert plane.splits_of(points) == "n = 4 splits, 95% t-intervals of the mean"
    draw(tmp_path / "plane.png", points, {"a shape": 2_900.0}, "kites", "somewhere")
    assert (tmp_path / "plane.png").read_bytes().startswith(b"\x89PNG")
    axes = picture(points, {}, "kites", "somewhere").axes[0]
    assert axes.get_ylim() == (0, 100)  # not cut
    words = [text.get_text() for text in axes.texts]
    assert "● GraphSAGE on hashed text" in words
    assert "50.0  labels alone" in words
    assert "76.9  Gemma 3 270M, tuned, asked; own split (1 split)" in words
    assert sum(word[0].isdigit() for word in words) == len(points)
    assert "| GraphSAGE on hashed text, labels alone | 50.0 | 47.4 to 52.6 | 4 |" in plane.table(
        points
    )


def test_a_million_answers_cost_the_time_that_they_keep_cores_busy() -> None:
    # 100 a second on one of two cores: 10,000 seconds of half a machine.
    way = Answers("a student", "stored", 100.0, 1, "latency")
    assert price(way, machine_hour=0.36, cores=2) == pytest.approx(0.5)
    ways, cores = measured(RESULTS)
    names = {(way.way, way.asked): way for way in ways}
    assert names["MiniLM", "stored"].cores == LATENCIES.settings.teacher_threads
    assert names["student (murmur3-log-unit/1)", "unseen, 8 words"].cores == 1
    hosted = HostedPrice("hosted", published=True, dollars=(12.0, 30.0))
    results = CostResults(
        machine_hour=0.36, machine_cores=cores, tokens=300, ways=[], hosted=hosted
    )
    assert "| 12.00 to 30.00 | published by their makers, not measured |" in cost_report(results)
    assert [dollars(value) for value in (12.345, 0.0123, 0.0000361)] == [
        "12.35",
        "0.012",
        "0.000036",
    ]


def test_rates_that_were_not_measured_are_told(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="`understudy bench latency` writes it"):
        measured(tmp_path)
    (tmp_path / "latency.json").write_text("{")
    with pytest.raises(BenchmarkError, match=r"latency\.json is no JSON"):
        measured(tmp_path)
    (tmp_path / "latency.json").write_text("{}")
    with pytest.raises(BenchmarkError, match=r"is not what its benchmark writes: .*`machine`"):
        measured(tmp_path)
