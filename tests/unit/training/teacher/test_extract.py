"""Questions are written when they are asked, and equal ones are asked once."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.training.samples import small_graph
from training.teacher.extract import asking_order, extract, gather_questions
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


def test_they_are_those_of_a_list_of_all() -> None:
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
        sizes = np.array([[len(prompt.text), 0.0] for prompt in prompts], dtype=np.float32)
        return Answers(sizes, None)


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
