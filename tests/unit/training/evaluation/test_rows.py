"""Runs as rows of a file, and the tables that are made of them."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from tests.bundles import tiny_graph
from tests.unit.training.evaluation.rows import ROW, rows
from training.errors import EvaluationError
from training.evaluation.provenance import without_place
from training.evaluation.report import teacher_section, write_report
from training.evaluation.rows import RUNS_FILE, Row, read_rows, row_of, write_rows
from training.evaluation.tables import language_table, sections, taught_table, unseen_table
from training.recipe_names import GRAPH, PROPAGATED, SELF, UNSMOOTHED, VANILLA

FACTS = {
    "graph": "kites",
    "graph_hash": "0a",
    "nodes": 100,
    "edges": 200,
    "classes": 3,
    "options": {
        "splits": 4,
        "seeds": 1,
        "trials": 0,
        "layers": 2,
        "hidden": 8,
        "withheld": 0.0,
        "split_kind": "60/20/20",
    },
    "teachers": [],
}
MEASURED = (
    *("val_accuracy", "epochs", "convergence_epoch", "parameters", "seconds"),
    *("taught_accuracy", "fifth_accuracy"),
)
ALONE = np.array([0.50, 0.52, 0.48, 0.50])


def sample_rows() -> list[Row]:
    """The language model gains 10 points over labels alone, and 1 over the graph network."""
    wiggle = 0.001 * np.array([1.0, -1.0, 2.0, -2.0])
    return [
        *rows(VANILLA, ALONE),
        *rows(PROPAGATED, ALONE + 0.001 * np.array([1.0, -1.0, -1.0, 1.0]), taught_accuracy=0.4),
        *rows(SELF, ALONE + 0.02 + wiggle, taught_accuracy=0.51),
        *rows(GRAPH, ALONE + 0.09 - wiggle, taught_accuracy=0.6),
        *rows("unlabeled", ALONE + 0.10 + wiggle, taught_accuracy=0.625),
    ]


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    given = [ROW, replace(ROW, split=1, unseen_all=0.25, taught_accuracy=0.5, panel=b"\x05\x00")]
    write_rows(tmp_path / RUNS_FILE, given, FACTS)
    record = read_rows(tmp_path / RUNS_FILE)
    assert record.rows == given
    assert record.facts == FACTS


def test_labelled_nodes_are_counted_in_the_whole_graph() -> None:
    """What two splits' test nodes have in common is read of it: of a part it would be too much."""
    graph = tiny_graph()
    record = asdict(ROW)
    made = {name: record[name] for name in ("date", "processor", "cores", "versions", "command")}
    result = {
        "key": {n: record[n] for n in ("split", "seed", "encoder", "student", "recipe")},
        "teacher": "",
        "sizes": {"labeled": graph.num_nodes - 4, "train": 20, "val": 8, "test": 8},
        "metrics": {n: record[n] for n in record if n.startswith("test_") or n in MEASURED},
        "panel": "",
        "panel_right": "",
        "made": made,
    }
    row = row_of(result, graph, "60/20/20")
    assert row.labeled == graph.num_nodes
    assert (row.train, row.val, row.test) == (20, 8, 8)


def test_a_file_that_holds_no_runs_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"is missing; `understudy evaluate` with the"):
        read_rows(tmp_path / RUNS_FILE)
    (tmp_path / RUNS_FILE).write_bytes(b"nothing of the kind")
    with pytest.raises(EvaluationError, match=r"holds no runs of an evaluation: .*; `under"):
        read_rows(tmp_path / RUNS_FILE)


def test_a_changed_byte_of_the_runs_is_no_other_figure(tmp_path: Path) -> None:
    """Neither a figure that is not measured, nor an error without the file's name."""
    path = tmp_path / RUNS_FILE
    write_rows(path, [replace(ROW, split=number) for number in range(9)], FACTS)
    whole, rows, told = path.read_bytes(), read_rows(path).rows, list[str]()
    for place in range(4, len(whole), 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            found = read_rows(path).rows
        except EvaluationError as error:
            told.append(str(error))
        else:
            assert found == rows, place
    assert told
    assert all(words.startswith(f"{path} is damaged") for words in told)


def test_the_table_has_controls_beside_claims_and_bold_where_holm_says_so() -> None:
    lines = taught_table(sample_rows(), "hashing").splitlines()
    assert lines[0] == "| taught by | which itself has | GraphSAGE |"
    cells = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in lines[2:]}
    assert list(cells) == [
        "labels alone",
        "labels spread over the edges",
        "itself, smoothed",
        "a GraphSAGE on MiniLM, smoothed",
        "a model, smoothed",
    ]
    assert cells["labels alone"] == ["", "50.0 |"]
    assert cells["labels spread over the edges"] == ["40.0", "50.0, +0.0 (-0.3 to 0.3) |"]
    assert cells["a model, smoothed"] == ["62.5", "60.0, **+10.0 (9.6 to 10.4)** |"]
    assert taught_table(sample_rows(), "minilm") == ""


def test_what_a_language_model_adds_is_told_above_every_control() -> None:
    text = language_table(sample_rows())
    header, _, line = text.splitlines()
    assert header.count("above") == 3
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:3] == ["GraphSAGE", "hashed text", "a model, smoothed"]
    assert cells[3].startswith("**+10.0")
    assert cells[5].startswith("+1.0") or cells[5].startswith("**+1.0")
    assert language_table([row for row in sample_rows() if not row.teacher]) == ""
    bare = [*sample_rows(), *rows(UNSMOOTHED, ALONE)]
    assert len(language_table(bare).splitlines()) == 3  # it has no control without smoothing here


def test_unseen_nodes_stand_beside_the_same_nodes_in_the_graph() -> None:
    asked = {"unseen_0": 0.2, "unseen_1": 0.4, "unseen_3": 0.5, "unseen_all": 0.6}
    seen = rows(VANILLA, ALONE, fifth_accuracy=0.7)
    unseen = rows(VANILLA, ALONE[:2], **asked)
    line = unseen_table(unseen, seen).splitlines()[2]
    assert line.endswith("| 2 | 70.0 | 60.0 | 50.0 | 40.0 | 20.0 |")
    assert unseen_table(seen, unseen) == ""
    (text,) = [part for part in sections([*seen, *unseen]) if part.startswith("| taught by")]
    assert "50.0" in text  # of the evaluation with those nodes alone


def test_a_report_tells_of_views_that_only_some_splits_teachers_have(tmp_path: Path) -> None:
    kinds = ("val_accuracy", "test_accuracy", "test_calibration_error")
    first = {f"{kind}_hop0": 0.5 for kind in kinds}
    second = {f"{kind}_{view}": 0.7 for kind in kinds for view in ("hop0", "smoothed")}
    write_rows(tmp_path / RUNS_FILE, rows(VANILLA, ALONE), FACTS | {"teachers": [first, second]})
    report = write_report(tmp_path).read_text(encoding="utf-8")
    for text in (report, teacher_section([second, first])):
        assert "| hop0 | 60.00 ± 14.14 |" in text
        assert "| smoothed | 70.00 |" in text


def test_a_report_needs_the_runs_alone(tmp_path: Path) -> None:
    write_rows(tmp_path / RUNS_FILE, sample_rows(), FACTS)
    text = write_report(tmp_path).read_text(encoding="utf-8")
    for table in taught_table(sample_rows(), "hashing").splitlines()[2:]:
        assert table in text
    assert "| GraphSAGE | hashed text | a model, smoothed | labels alone | 4 | **+10.0" in text


def test_a_command_line_is_kept_without_places() -> None:
    assert without_place("/home/somebody/graph") == "graph"
    assert without_place("runs/graph") == "runs/graph"
    assert without_place("--seeds") == "--seeds"
