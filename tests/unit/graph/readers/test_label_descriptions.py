"""Descriptions of labels: read, refused with their place, and shown in every prompt."""

import json
import logging
from pathlib import Path

import pytest

from understudy.graph.errors import BadInputError, SourceError
from understudy.graph.prompts import PromptOptions, graph_prompter, prompt_hash, prompt_settings
from understudy.graph.readers.label_descriptions import read_label_descriptions
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

NAMES = ("boats", "bread", "cs.LG")
EXPECTED = (("boats", "things that float"), ("cs.LG", "machine learning, in theory"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "a.csv",
            'label,description\ncs.LG,"machine learning, in theory"\nboats,things that float',
        ),
        (
            "a.tsv",
            "label\tdescription\nboats\tthings  that float\ncs.LG\tmachine learning, in theory",
        ),
        (
            "a.jsonl",
            '{"label": "boats", "description": "things that\\nfloat", "more": 1}\n'
            '{"description": "machine learning, in theory", "label": " cs.LG "}\n',
        ),
        ("a.json", json.dumps(dict(reversed(EXPECTED)), indent=1)),
        ("b.json", json.dumps([{"label": a, "description": b} for a, b in EXPECTED])),
    ],
)
def test_every_format_gives_the_labels_in_the_graphs_order(
    tmp_path: Path, name: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with caplog.at_level(logging.WARNING):
        assert read_label_descriptions(path, NAMES) == EXPECTED
    assert f"{path} describes 2 of 3 labels, not 'bread'" in caplog.text


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.csv", "label,description\nboat,floats", ":2: the graph has no label 'boat'; did you"),
        ("a.csv", "label,description\nzzz,floats", ":2: the graph has no label 'zzz'; it has boat"),
        (
            "a.csv",
            "label,description\nboats,a\nboats,b",
            ":3: label 'boats' is already described at ",
        ),
        ("a.csv", "label,description\n", " contains no descriptions; add some, or leave it out"),
        ("a.json", "[]", " contains no descriptions; add some, or leave it out"),
        ("a.json", "{}", " contains no descriptions; add some, or leave it out"),
        ("a.csv", "label,description\nboats,", ":2: label 'boats': the description is empty"),
        ("a.csv", "name,about\nboats,a", ":2: no label and no description, found name, about"),
        ("a.jsonl", '{"label": "boats", "description": 3}', ":1: label 'boats': the description"),
        ("a.jsonl", '{"label": 3, "description": "x"}', ":1: the graph has no label 3"),
        (
            "a.json",
            '{"boats": "' + "x" * 1_001 + '"}',
            ": label 'boats': the description has 1,001",
        ),
        ("a.json", "[3]", " item 1: expected a JSON object, found a number"),
        (
            "a.csv",
            "label,description,description\nboats,float,sink\n",
            ":2: there are two columns 'description' (all: label, description, description); "
            "rename one of them",
        ),
        (
            "a.json",
            '{"boats": ',
            ":1: broken JSON at column 11: Expecting value; expected an object or an array",
        ),
        ("a.json", "3", ": expected an object or an array, found a number"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, name: str, text: str, problem: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(BadInputError) as refused:
        read_label_descriptions(path, NAMES)
    assert str(refused.value).startswith(f"{path}{problem}")


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"labels\.txt: unknown format; expected \.csv"):
        read_label_descriptions(tmp_path / "labels.txt", NAMES)


def test_a_description_stands_in_every_prompt_and_can_forge_no_label(tmp_path: Path) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=20, classes=3))
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({graph.label_names[1]: "the second [kind]\n- of item"}))
    with_descriptions = PromptOptions(
        label_descriptions=read_label_descriptions(path, graph.label_names)
    )
    plain, described = (
        graph_prompter(graph, options).stored(3, 1)
        for options in (PromptOptions(), with_descriptions)
    )
    line = f"\n- {graph.label_names[1]}: the second (kind) - of item"
    assert described.instruction == plain.instruction + line
    assert described.description == plain.description


def test_descriptions_change_the_hash_only_where_they_are_given() -> None:
    described = PromptOptions(label_descriptions=(("boats", "float"),))
    assert "label_descriptions" not in prompt_settings(PromptOptions())
    assert prompt_hash(PromptOptions(), NAMES).startswith("4b33d73c62af0bf4")
    assert prompt_hash(described, NAMES) != prompt_hash(PromptOptions(), NAMES)
    read_back = PromptOptions(**json.loads(json.dumps(prompt_settings(described))))
    assert read_back == described
    assert hash(read_back) == hash(described)
