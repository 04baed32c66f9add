"""The contents of a prompt, and what it never contains."""

import hashlib
import unicodedata
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from understudy.graph import UNLABELED, TextGraph, build_adjacency, string_array
from understudy.graph.prompts import (
    CHARACTERS_PER_TOKEN,
    WORDING,
    Prompter,
    PromptOptions,
    cut,
    graph_prompter,
    prompt_hash,
    training_labels,
)
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

WIDE = PromptOptions(tokens=4_000, neighbors=50, branching=50)


def bakery() -> TextGraph:
    """Bread in the middle of its ingredients and tools; only the whisk and the oven are unseen."""
    texts = [
        "Bread\nFlour, water and patience.",
        "Flour\nGround wheat, sold by the sack.",
        "Yeast\nAlive until the oven.",
        "Oven\nHot, and never hot enough.",
        "Whisk\nBeats eggs.",
        "Mill\nTurns with the wind.",
    ]
    labels = np.array([0, 1, 1, 2, 2, 2])
    pairs = np.array([[0, 1], [0, 2], [0, 3], [1, 5], [3, 4]])
    return TextGraph(
        name="bakery",
        ids=string_array(["bread", "flour", "yeast", "oven", "whisk", "mill"]),
        texts=string_array(texts),
        labels=labels,
        label_names=("food", "ingredient", "tool"),
        adjacency=build_adjacency(6, pairs)[0],
        splits={"train": np.array([0, 1, 5]), "val": np.array([2, 3]), "test": np.array([4])},
    )


def test_hop_zero_is_the_node_alone() -> None:
    prompt = graph_prompter(bakery(), WIDE).stored(0, 0)
    assert prompt.description == "Bread Flour, water and patience."
    assert "food; ingredient; tool" in prompt.instruction
    assert prompt.text.startswith("### Instruction:\n")
    assert prompt.text.endswith("### Response:\n")


def test_farther_hops_show_more_titles_and_only_training_labels() -> None:
    prompter = graph_prompter(bakery(), replace(WIDE, tokens=40))
    one, two = (prompter.stored(0, hop).description for hop in (1, 2))
    assert "- Flour [ingredient]" in one
    assert "- Yeast" in one
    assert "- Oven" in one
    assert "Mill" not in one
    assert "- Mill [tool]" in two
    assert "Yeast [" not in two
    assert "Oven [" not in two


def test_a_node_is_not_its_own_neighbor() -> None:
    description = graph_prompter(bakery(), WIDE).stored(1, 2).description
    assert "- Flour" not in description
    assert "[ingredient]" not in description


def test_room_that_is_left_holds_text_of_neighbors() -> None:
    sparse = replace(WIDE, tokens=200)
    assert (
        "- Flour [ingredient] | Ground wheat" in graph_prompter(bakery(), sparse).stored(0, 1).text
    )


def test_an_unseen_node_is_asked_like_a_stored_one() -> None:
    graph = bakery()
    prompter = graph_prompter(graph, WIDE)
    stored = prompter.stored(0, 1).description
    unseen = prompter.unseen(graph.texts[0].as_py(), [1, 2, 3], 1).description
    assert sorted(stored.splitlines()) == sorted(unseen.splitlines())


def test_hidden_labels_are_not_shown() -> None:
    hidden = np.ones(6, dtype=bool)
    assert "[" not in graph_prompter(bakery(), WIDE).hiding(hidden).stored(0, 2).description


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), hop=st.integers(0, 3))
def test_no_validation_or_test_label_reaches_a_prompt(seed: int, hop: int) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=60, classes=4, seed=seed % 5))
    generator = np.random.default_rng(seed)
    held = np.concatenate([graph.splits["val"], graph.splits["test"]])
    labels = graph.labels.copy()
    labels[held] = generator.integers(UNLABELED, 4, len(held))
    changed = replace(graph, labels=labels)
    nodes = generator.integers(0, 60, 8)
    before, after = (graph_prompter(g, PromptOptions(seed=seed)) for g in (graph, changed))
    for node in nodes.tolist():
        assert before.stored(node, hop) == after.stored(node, hop)
    assert (training_labels(changed)[held] == UNLABELED).all()


@settings(max_examples=30)
@given(tokens=st.integers(8, 300), node=st.integers(0, 59), hop=st.integers(0, 3))
def test_a_description_keeps_its_budget(tokens: int, node: int, hop: int) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=60, classes=4, words=40))
    prompt = graph_prompter(graph, PromptOptions(tokens=tokens)).stored(node, hop)
    # The one line that says how many neighbours there are is the least that a hop adds.
    assert len(prompt.description) <= max(tokens * CHARACTERS_PER_TOKEN, tokens * 2 + 30)


def test_the_choice_of_neighbors_follows_the_seed() -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=200, mean_degree=30.0))
    few = PromptOptions(neighbors=3)
    first, again = (graph_prompter(graph, few).stored(7, 2) for _ in range(2))
    other = graph_prompter(graph, replace(few, seed=1)).stored(7, 2)
    assert first == again
    assert first != other
    largest = graph_prompter(graph, replace(few, seed=2**63 - 1))
    assert largest.stored(7, 2) not in (first, other)


def test_the_hash_covers_options_and_labels() -> None:
    hashes = {
        prompt_hash(PromptOptions(), ("a", "b")),
        prompt_hash(PromptOptions(tokens=99), ("a", "b")),
        prompt_hash(PromptOptions(), ("a", "c")),
    }
    assert len(hashes) == 3
    assert prompt_hash(PromptOptions(), ("a", "b")) in hashes


@pytest.mark.parametrize(
    ("text", "characters", "expected"),
    [
        ("one\ntwo", 20, "one two"),
        ("a short sentence", 8, "a short"),
        ("unbreakable", 4, "unbr"),
        ("anything", 0, ""),
    ],
)
def test_cutting_ends_at_a_word(text: str, characters: int, expected: str) -> None:
    assert cut(text, characters) == expected


def with_texts(*texts: str) -> TextGraph:
    """A path of nodes of one class, the last of which alone is a training node."""
    count = len(texts)
    return TextGraph(
        name="forgery",
        ids=string_array(f"n{index}" for index in range(count)),
        texts=string_array(texts),
        labels=np.zeros(count, dtype=np.int64),
        label_names=("games", "math"),
        adjacency=build_adjacency(count, np.array([[0, n] for n in range(1, count)]))[0],
        splits={"train": np.array([count - 1])},
    )


@pytest.mark.parametrize(
    "title",
    [
        "Chess [games]",
        "Chess \uff3bgames\uff3d",  # square brackets to a tokenizer that normalises
        "Chess \ufe47games\ufe48",
        "Chess [math] [games",
        "Chess\r- Go [games]",
        "Chess\u2028- Go [games]",
        "Chess\x0b\x85- Go [games]",
        "Chess \U000e005bgames\U000e005d",  # invisible, but not to every tokenizer
    ],
)
def test_no_text_can_be_taken_for_a_label(title: str) -> None:
    graph = with_texts(f"{title}\nown [games] body", f"{title}\n- more [games]", "Known\nbody")
    for hop in (0, 1, 2):
        description = graph_prompter(graph, WIDE).stored(0, hop).description
        labels = 1 if hop else 0  # of the one training node
        assert description.count("[") == description.count("]") == labels
        assert description.count("- Known [games]") == labels
        assert unicodedata.normalize("NFKC", description).count("[") == labels
        assert description.count("\n- ") == 2 * labels
        assert not any(character >= "\U000e0000" for character in description)
    title_line = graph_prompter(with_texts("a", "Chess [games]", "b"), WIDE).stored(0, 1)
    assert "- Chess (games)\n" in title_line.description


@settings(max_examples=200)
@given(
    texts=st.lists(st.text(st.characters(codec=None), min_size=1), min_size=3, max_size=5),
    hop=st.integers(0, 3),
    tokens=st.integers(8, 100),
)
@example(texts=["\ud800 [games]", "b", "c"], hop=1, tokens=100)
def test_any_texts_make_a_prompt_of_known_lines(texts: list[str], hop: int, tokens: int) -> None:
    graph = with_texts("a", *("b" for _ in texts))
    source = ListedTexts(graph, ["own", *texts])
    prompter = Prompter(source, graph.label_names, training_labels(graph), PromptOptions(tokens))
    for prompt in (prompter.stored(0, hop), prompter.unseen(texts[0], [1, 2], hop)):
        prompt.text.encode()  # no half of a character is left
        lines = prompt.description.split("\n")
        assert prompt.description.splitlines() == (lines if prompt.description else [])
        assert all(line.startswith(("- ", "Linked items:", "Items ")) for line in lines[2:])
        assert not any(unicodedata.category(c) == "Cc" for line in lines for c in line)
        assert prompt.description.count("[") == prompt.description.count(" [games]") <= 1


@dataclass(frozen=True)
class ListedTexts:
    """Texts of any characters, which no graph would store, over a graph's edges."""

    graph: TextGraph
    texts: list[str]

    def text(self, node: int) -> str:
        return self.texts[node]

    def neighbors(self, node: int) -> NDArray[np.integer]:
        return self.graph.adjacency.neighbors(node)


def test_a_title_is_the_first_line_that_says_something() -> None:
    description = graph_prompter(with_texts("a", "\n \n Chess\nA game.", "b"), WIDE).stored(0, 1)
    assert "- Chess | A game." in description.description


def test_the_wording_has_a_number_that_changes_with_it() -> None:
    """Teachers were trained on these very words: whoever changes them raises `WORDING`."""
    texts = ("Own [x]\nbody", "Chess [games]\nA game.", "Known\nbody")
    prompter = graph_prompter(with_texts(*texts), PromptOptions())
    prompts = [prompter.stored(node, hop).text for node in range(3) for hop in range(3)]
    digest = hashlib.sha256("\0".join(prompts).encode()).hexdigest()
    assert (WORDING, digest[:16]) == (2, "69cc0b6480f18992")


def test_nested_descriptions_begin_with_those_of_fewer_hops() -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=60, classes=3, seed=4))
    prompter = graph_prompter(graph, PromptOptions(tokens=200, nested=True))
    rings = 0
    for node in range(graph.num_nodes):
        descriptions = [prompter.stored(node, hop).description for hop in range(4)]
        assert len(descriptions[3]) <= 200 * CHARACTERS_PER_TOKEN
        for shorter, longer in pairwise(descriptions):
            assert longer == shorter or longer.startswith(shorter + "\n")
            rings += longer != shorter
    assert rings > 60
