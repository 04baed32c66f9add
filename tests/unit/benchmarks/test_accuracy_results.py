"""docs/results.md from committed runs, and the requests about unseen nodes."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy.evaluation import PARTS, chosen_teacher
from benchmarks.accuracy.page import PART, committed, write_page
from benchmarks.accuracy.unseen import unseen_node
from benchmarks.errors import BenchmarkError
from tests.unit.training.evaluation.rows import rows
from tests.unit.training.evaluation.test_rows import ALONE, FACTS, sample_rows
from training.evaluation.plan import EvaluationOptions
from training.evaluation.rows import RUNS_FILE, write_rows
from training.evaluation.splits import SPLIT_KINDS
from training.evaluation.tables import taught_table
from training.recipe_names import SELF, VANILLA
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph


def page(folder: Path) -> Path:
    path = folder / "results.md"
    path.write_text(f"# Results\n\n{PART.start}\nold\n{PART.end}\n\nThe rest.\n", encoding="utf-8")
    return path


def test_parts_of_a_graph_stand_in_one_table(tmp_path: Path) -> None:
    alone = [row for row in sample_rows() if not row.teacher]
    taught = [row for row in sample_rows() if row.teacher]
    for name, part in (("kites-alone", alone), ("kites-frozen", taught)):
        (tmp_path / "runs" / name).mkdir(parents=True)
        write_rows(tmp_path / "runs" / name / RUNS_FILE, part, FACTS)
    text = write_page(page(tmp_path), tmp_path / "runs").read_text(encoding="utf-8")
    assert text.startswith(f"# Results\n\n{PART.start}\n")
    assert text.endswith(f"{PART.end}\n\nThe rest.\n")
    assert "old" not in text
    for line in taught_table(sample_rows(), "hashing").splitlines():
        assert line in text
    assert write_page(tmp_path / "results.md", tmp_path / "runs").read_text("utf-8") == text


def test_unseen_nodes_stand_beside_students_that_had_them_and_no_others(tmp_path: Path) -> None:
    fifth = {"fifth_accuracy": 0.7}
    without = {"unseen_all": 0.6, "unseen_3": 0.5, "unseen_1": 0.4, "unseen_0": 0.3}
    parts = {
        "kites-alone": rows(VANILLA, ALONE, fifth_accuracy=0.9),  # perhaps of other splits
        "kites-alone-unseen": rows(VANILLA, ALONE, **without) + rows(SELF, ALONE, **without),
        "kites-alone-seen": rows(VANILLA, ALONE, **fifth) + rows(SELF, ALONE, **fifth),
    }
    for name, part in parts.items():
        (tmp_path / "runs" / name).mkdir(parents=True)
        write_rows(tmp_path / "runs" / name / RUNS_FILE, part, FACTS)
    text = write_page(page(tmp_path), tmp_path / "runs").read_text(encoding="utf-8")
    assert (
        "| GraphSAGE | hashed text | labels alone | 4 | 70.0 | 60.0 | 50.0 | 40.0 | 30.0 |" in text
    )
    assert text.count("| itself, smoothed |") == 1  # in no table of its own


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"graph_hash": "0b"}, "not of the same one; import one of them under another --name"),
        ({"options": FACTS["options"] | {"hidden": 9}}, "train students by different settings"),  # type: ignore[operator]
    ],
)
def test_parts_that_cannot_be_compared_are_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    for name, facts in (("one", FACTS), ("two", FACTS | changes)):
        (tmp_path / "runs" / name).mkdir(parents=True)
        write_rows(tmp_path / "runs" / name / RUNS_FILE, rows(VANILLA, ALONE), facts)
    with pytest.raises(BenchmarkError, match=message):
        write_page(page(tmp_path), tmp_path / "runs")


@pytest.mark.parametrize("changes", [{"panel": b"\x0f"}, {"test": 7}])
def test_splits_of_one_number_that_test_different_nodes_are_refused(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    for name, others in (("kites-alone", {}), ("kites-frozen", changes)):
        (tmp_path / "runs" / name).mkdir(parents=True)
        write_rows(tmp_path / "runs" / name / RUNS_FILE, rows(VANILLA, ALONE, **others), FACTS)
    message = r"split 0 \(.*\) of kites-alone and of kites-frozen test different nodes"
    with pytest.raises(BenchmarkError, match=message):
        write_page(page(tmp_path), tmp_path / "runs")
    (tmp_path / "runs" / "kites-frozen").rename(tmp_path / "runs" / "kites-alone-unseen")
    write_page(page(tmp_path), tmp_path / "runs")  # of which a fifth was taken out


def test_a_page_without_its_marks_is_told(tmp_path: Path) -> None:
    path = tmp_path / "results.md"
    path.write_text("# Results\n")
    with pytest.raises(BenchmarkError, match="lacks one of the lines"):
        write_page(path, tmp_path)
    assert committed(tmp_path) == {}


def test_every_part_has_a_teacher_for_every_kind_of_split() -> None:
    for part in PARTS:
        for kind in SPLIT_KINDS:
            options = chosen_teacher(part, kind, 10_000, bf16=False).options()
            EvaluationOptions(splits=1, split_kind=kind, teacher=options)
    assert chosen_teacher("tuned", "60/20/20", 10_000, bf16=False).max_train_nodes == 2_000
    assert chosen_teacher("tuned", "20-per-class", 10_000, bf16=False).max_train_nodes == 0
    assert chosen_teacher("gemma-untuned", "20-per-class", 10, bf16=True).epochs == 0


def test_an_unseen_node_tells_stored_neighbours_alone() -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=120, classes=3, mean_degree=6.0))
    node = int(graph.adjacency.degrees.argmax())
    first, *others = graph.adjacency.neighbors(node).tolist()
    unseen = np.array([node, first])
    everything = unseen_node(graph, unseen, node, None)
    assert sorted(everything.neighbors) == sorted(str(graph.ids[n]) for n in others)
    assert unseen_node(graph, unseen, node, 0).neighbors == ()
    assert unseen_node(graph, unseen, node, 1).neighbors == everything.neighbors[:1]
    assert everything.text == str(graph.texts[node])
