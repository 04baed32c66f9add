"""Which choices the student answers, and the probabilities it gives."""

import numpy as np
import pytest

from service.compatible.choices import own_choices, shares
from service.compatible.nodes import node_of_object, node_of_text
from service.errors import InvalidFieldError
from service.messages import Node
from understudy.endpoint.naming import label_reader
from understudy.engine.requests import probabilities

reference = pytest.importorskip("jevcompat.validate")
LABELS = ("net", "editors", "us", "US", "Board games")
LOGITS = [1.0, -2.0, 0.5, 3.0, 2.5]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["editors", "net"], [1, 0]),
        (["Editors", " NET. "], [1, 0]),
        (["board  games", "US", "us"], [4, 3, 2]),
        (["Us", "net"], None),  # of two labels
        (["net", "Net"], None),  # one label twice
        (["net", "other"], None),
        (["the net", "editors"], None),
        (None, None),
    ],
)
def test_a_choice_is_the_students_where_every_option_is_another_label(
    options: list[str] | None, expected: list[int] | None
) -> None:
    found = own_choices([None, options], label_reader(LABELS))
    lists = {position: columns.tolist() for position, columns in found.items()}
    assert lists == ({} if expected is None else {1: expected})


@pytest.mark.parametrize("columns", [[0, 1], [3, 0, 4], [4, 3, 2, 1, 0], [2]])
def test_shares_are_the_calibrated_probabilities_of_the_options_alone(columns: list[int]) -> None:
    all_labels = probabilities(np.array([LOGITS], np.float32), 2.0)[0]
    expected = all_labels[columns] / all_labels[columns].sum()
    found = shares(np.array(LOGITS, np.float32), 2.0, np.array(columns))
    assert found.probabilities == pytest.approx(expected.tolist(), abs=1e-6)
    assert found.best == int(expected.argmax())
    assert found.confidence == pytest.approx(
        reference.choice_confidence(expected.tolist()), abs=1e-5
    )


@pytest.mark.parametrize("columns", [[1, 3, 0], [3, 0, 1], [3, 1]])
def test_of_equal_options_the_first_label_is_the_best_in_whatever_order(columns: list[int]) -> None:
    logits = np.array([0.5, 2.0, 1.0, 2.0], np.float32)
    assert columns[shares(logits, 0.7, np.array(columns)).best] == 1


def test_equal_options_have_no_confidence() -> None:
    assert shares(np.full(3, 0.1, np.float32), 0.7, np.arange(3)).confidence == 0.0


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("http socket", Node(text="http socket")),
        ('{"node": {"id": "node-1"}}', Node(id="node-1")),
        (
            ' {"node": {"text": "a", "neighbors": ["node-1"]}}',
            Node(text="a", neighbors=("node-1",)),
        ),
        ('{"node": {"id": "a"}, "more": 1}', Node(text='{"node": {"id": "a"}, "more": 1}')),
        ('{"title": "a"}', Node(text='{"title": "a"}')),
        ("{not json", Node(text="{not json")),
    ],
)
def test_a_text_is_a_node_or_names_one(text: str, node: Node) -> None:
    assert node_of_text(text, "input") == node


@pytest.mark.parametrize("value", [None, [], {}, {"id": "a"}, {"node": {}, "more": 1}, "node"])
def test_other_values_name_no_node(value: object) -> None:
    assert node_of_object(value, "state") is None


def test_a_badly_named_node_is_told_by_its_place() -> None:
    with pytest.raises(InvalidFieldError) as caught:
        node_of_text('{"node": {"id": 5}}', "state")
    assert caught.value.field == "state.node.id"
    with pytest.raises(InvalidFieldError) as caught:
        node_of_object({"node": {"name": "a"}}, "input.0.content.1.data")
    assert caught.value.field == "input.0.content.1.data.node.name"
