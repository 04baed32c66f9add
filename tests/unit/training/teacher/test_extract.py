"""Questions are written when they are asked, and equal ones are asked once."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.training.samples import small_graph
from training.errors import TeacherError
from training.teacher.extract import answer_part, asking_order, extract, gather_questions
from training.teacher.protocol import Answers
from understudy.graph.prompts import Prompt, PromptOptions, graph_prompter

HOPS = (0, 1, 2)


def test_prompts_are_not_kept_and_come_as_they_were_met() -> None:
    written: list[tuple[int, int]] = []

    def write(node: int, hop: int) -> Prompt:
        written.append((node, hop))
        return Prompt("sort", "alone" if node == 3 else f"{node} at {hop}")

    questions = gather_questions(write, HOPS, np.array([5, 3, 8]))
    assert len(written) == 9
    assert [prompt.description for prompt in questions.prompts] == [
        *("5 at 0", "alone", "8 at 0"),
        *("5 at 1", "8 at 1", "5 at 2", "8 at 2"),
    ]
    assert len(written) == 9 + 7
    assert questions.which.tolist() == [[0, 1, 2], [3, 1, 4], [5, 1, 6]]
    assert questions.sizes.tolist() == [len(prompt.text) for prompt in questions.prompts]


def test_prompts_that_are_written_when_needed_are_those_of_a_list() -> None:
    graph = small_graph()
    write = graph_prompter(graph, PromptOptions()).stored
    nodes = np.arange(graph.num_nodes)
    questions = gather_questions(write, HOPS, nodes)
    listed: dict[Prompt, int] = {}
    for hop, own in zip(HOPS, questions.which, strict=True):
        for node, position in zip(nodes.tolist(), own.tolist(), strict=True):
            assert listed.setdefault(write(node, hop), len(listed)) == position
    assert list(questions.prompts) == list(listed)
    assert sorted(asking_order(questions)) == list(range(len(listed)))
    assert list(questions.prompts[2:5]) == list(listed)[2:5]


class Lengths:
    """Answers with how long each question is, and counts the questions."""

    asked = 0

    def batches(self, prompts: Sequence[Prompt], tokens_per_batch: int) -> list[list[int]]:
        return [list(range(len(prompts)))]

    def answer(self, prompts: Sequence[Prompt]) -> Answers:
        self.asked += len(prompts)
        shares = np.array([1 / len(prompt.text) for prompt in prompts])
        return Answers(np.log(np.stack([shares, 1 - shares], axis=1)).astype(np.float32), None)


def test_a_torn_part_is_asked_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    graph, nodes = small_graph(), np.arange(20)
    questions = gather_questions(graph_prompter(graph, PromptOptions()).stored, HOPS, nodes)
    teacher = Lengths()

    def ask() -> NDArray[np.float32]:
        return extract(
            teacher,
            questions,
            nodes,
            tmp_path,
            tokens_per_batch=1_000,
            part_prompts=8,
        ).log_probabilities

    expected = ask()
    assert (tmp_path / "part-00001.safetensors").is_file()
    for left in (0, 20):
        torn = tmp_path / "part-00001.safetensors"
        torn.write_bytes(torn.read_bytes()[:left])
        teacher.asked = 0
        np.testing.assert_array_equal(ask(), expected)
        assert teacher.asked == 8
    assert "part-00001.safetensors is damaged" in caplog.text


class Answering(Lengths):
    """Answers every question alike, in batches as it is told."""

    def __init__(self, row: Sequence[float], batches: Sequence[Sequence[int]]) -> None:
        self.row, self.batched = row, batches

    def batches(self, prompts: Sequence[Prompt], tokens_per_batch: int) -> list[list[int]]:
        return [list(batch) for batch in self.batched]

    def answer(self, prompts: Sequence[Prompt]) -> Answers:
        return Answers(np.array([self.row] * len(prompts), dtype=np.float32), None)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (Answering([0.7, 0.3], [[0, 1, 2]]), "must answer with log-probabilities, .* up to 3.36"),
        (Answering([np.nan, 0.0], [[0], [2, 1]]), "add up to nan"),
        (Answering([0.0], [[0, 1]]), "batches must hold each of 3 prompts once"),
        (Answering([0.0], [[0, 1, 2], [2]]), "batches must hold each of 3 prompts once"),
    ],
)
def test_what_is_no_answer_is_not_learned_from(teacher: Answering, message: str) -> None:
    prompts = [Prompt("sort", text) for text in ("oak", "elm", "salt")]
    with pytest.raises(TeacherError, match=message):
        answer_part(teacher, prompts, 100)
    said = answer_part(Answering([-np.inf, 0.0], [[2], [0, 1]]), prompts, 100)
    assert said.log_probabilities.tolist() == [[-np.inf, 0.0]] * 3


class Showing(Lengths):
    """Answers with certainty, and shows features of a size."""

    def __init__(self, size: float) -> None:
        self.size = size

    def answer(self, prompts: Sequence[Prompt]) -> Answers:
        rows = np.tile(np.array([-np.inf, 0.0], dtype=np.float32), (len(prompts), 1))
        return Answers(rows, np.full((len(prompts), 4), self.size, dtype=np.float32))


def test_answers_and_features_are_kept_as_numbers_that_can_be_learned_from(tmp_path: Path) -> None:
    graph, nodes = small_graph(), np.arange(20)
    questions = gather_questions(graph_prompter(graph, PromptOptions()).stored, HOPS, nodes)
    answers = extract(Showing(1e6), questions, nodes, tmp_path / "large", 1_000)
    assert answers.features is not None
    assert np.isfinite(answers.features).all()
    assert np.isfinite(answers.log_probabilities).all()
    np.testing.assert_array_equal(np.exp(answers.log_probabilities[..., 1]), 1)
    for size in (np.nan, np.inf):
        with pytest.raises(TeacherError, match="features that are not finite"):
            extract(Showing(size), questions, nodes, tmp_path / str(size), 1_000)
