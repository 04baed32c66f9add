"""Questions are written when they are asked, and equal ones are asked once."""

import numpy as np

from tests.unit.training.samples import small_graph
from training.teacher.extract import asking_order, gather_questions
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
