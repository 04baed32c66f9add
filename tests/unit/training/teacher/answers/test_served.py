"""The served teacher is the measured one: one hop, the model's own answers."""

from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.training.samples import small_answers, small_graph
from training.errors import TeacherError
from training.teacher.answers.folder import (
    ANSWERS_FILE,
    TeacherInfo,
    View,
    read_teacher,
    write_teacher,
)
from training.teacher.answers.views import served_teacher, teacher_metrics
from understudy.graph import TextGraph
from understudy.graph.prompts import WORDING, PromptOptions, prompt_hash

PROMPTS = PromptOptions(tokens=100, nested=True, show_labels=False)


def info(graph: TextGraph) -> TeacherInfo:
    return TeacherInfo(
        kind="causal",
        model="a model",
        model_hash="abc",
        prompt_hash=prompt_hash(PROMPTS, graph.label_names),
        graph_hash=graph.content_hash,
        graph_name=graph.name,
        label_names=graph.label_names,
        hops=(0, 1, 2),
        settings={"prompts": asdict(PROMPTS), "causal": {"max_tokens": 500}},
    )


@pytest.fixture
def graph() -> TextGraph:
    return small_graph()


def write(folder: Path, graph: TextGraph, wrong: int) -> Path:
    """A teacher that is right at hop 1, but for some validation nodes, and wrong elsewhere."""
    values = np.log(np.full((3, graph.num_nodes, graph.num_classes), 0.1, np.float32))
    named = np.stack([(graph.labels + 1) % 3, graph.labels, (graph.labels + 1) % 3])
    named[1, graph.splits["val"][:wrong]] = (graph.labels[graph.splits["val"][:wrong]] + 2) % 3
    np.put_along_axis(values, named[..., None], np.log(0.8), axis=2)
    everybody = np.arange(graph.num_nodes)
    perfect = np.log(0.9 * np.eye(3, dtype=np.float32)[graph.labels] + 0.03)
    answers = small_answers(graph)
    answers = replace(answers, log_probabilities=values, smoothed=View(everybody, perfect))
    folder.mkdir()
    write_teacher(folder, info(graph), answers)
    return folder


def test_the_hop_that_is_best_on_validation_is_served_unsmoothed(
    graph: TextGraph, tmp_path: Path
) -> None:
    found = served_teacher(write(tmp_path / "teacher", graph, wrong=2), graph)
    assert found is not None
    validation = graph.splits["val"]
    assert found.record.hops == 1
    assert found.hops_tried == 3
    assert found.nodes == tuple(validation.tolist())
    assert found.right == (False, False) + (True,) * (len(validation) - 2)
    assert found.record.accuracy == pytest.approx(1 - 2 / len(validation))
    assert found.record.nodes == len(validation)
    check = found.check(validation[1:])
    assert check.rows.tolist() == list(range(len(validation) - 1))
    assert check.right.tolist() == list(found.right[1:])


def test_without_answers_about_validation_nothing_is_known_of_its_accuracy(
    graph: TextGraph, tmp_path: Path
) -> None:
    asked = np.setdiff1d(np.arange(graph.num_nodes), graph.splits["val"])
    answers = small_answers(graph, features=False)
    some = replace(answers, nodes=asked, log_probabilities=answers.log_probabilities[:, asked])
    write_teacher(tmp_path, info(graph), some)
    found = served_teacher(tmp_path, graph)
    assert found is not None
    assert (found.record.accuracy, found.record.nodes, found.record.hops) == (0.0, 0, 0)
    assert (found.nodes, found.right) == ((), ())


def test_the_record_says_how_it_is_asked(graph: TextGraph, tmp_path: Path) -> None:
    folder = write(tmp_path / "teacher", graph, wrong=0)
    (folder / "tuned.safetensors").write_bytes(b"weights")
    found = served_teacher(folder, graph)
    assert found is not None
    record = found.record
    assert (record.kind, record.model, record.model_hash) == ("causal", "a model", "abc")
    assert record.weights == sha256(b"weights").hexdigest()
    assert PromptOptions(**record.prompts) == PROMPTS
    assert record.prompt_hash == prompt_hash(PROMPTS, graph.label_names)
    assert (record.wording, record.max_tokens) == (WORDING, 500)


def test_what_is_asked_no_prompts_is_not_served(graph: TextGraph, tmp_path: Path) -> None:
    unasked: list[dict[str, Any]] = [{"settings": {}}, {"prompt_hash": ""}]
    for number, change in enumerate(unasked):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_teacher(folder, replace(info(graph), **change), small_answers(graph))
        assert served_teacher(folder, graph) is None


def test_damaged_answers_are_told(graph: TextGraph, tmp_path: Path) -> None:
    folder = write(tmp_path / "teacher", graph, wrong=0)
    (folder / ANSWERS_FILE).write_bytes(b"no tensors")
    with pytest.raises(TeacherError, match="is damaged"):
        served_teacher(folder, graph)


def test_an_answer_that_names_no_label_is_right_about_none(
    graph: TextGraph, tmp_path: Path
) -> None:
    folder = write(tmp_path / "teacher", graph, wrong=0)
    _, answers = read_teacher(folder, graph)
    unread = answers.log_probabilities.copy()
    silent = graph.splits["val"][graph.labels[graph.splits["val"]] == 0]
    assert len(silent)
    unread[:, silent] = -np.log(graph.num_classes)
    answers = replace(answers, log_probabilities=unread, smoothed=None)
    write_teacher(folder, info(graph), answers)
    count = len(graph.splits["val"])
    expected = 1 - len(silent) / count
    found = served_teacher(folder, graph)
    assert found is not None
    assert found.record.accuracy == pytest.approx(expected)
    assert sum(found.right) == count - len(silent)
    metrics = teacher_metrics(graph, (0, 1, 2), answers)
    assert metrics["val_accuracy_hop1"] == pytest.approx(expected)
    assert metrics["val_macro_f1_hop1"] == pytest.approx(2 / 3)


def test_labels_in_another_order_than_the_graphs_are_told(graph: TextGraph, tmp_path: Path) -> None:
    other = replace(info(graph), label_names=tuple(reversed(graph.label_names)))
    write_teacher(tmp_path, other, small_answers(graph))
    with pytest.raises(TeacherError, match="names other labels than the graph, or in another ord"):
        read_teacher(tmp_path, graph)
