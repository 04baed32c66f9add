"""Errors and remarks for Python callers name arguments instead of options."""

import logging
from collections.abc import Callable

import pytest

from understudy.graph import BadInputError, TextGraph
from understudy.graph.building.builder import Rules
from understudy.graph.readers.python_words import in_python

TEXTS = ["oak", "salt", "elm"]


@pytest.mark.parametrize(
    ("option_words", "expected"),
    [
        (
            "use --missing-text skip or --missing-text id",
            'use rules=Rules(missing_text="skip") or rules=Rules(missing_text="id")',
        ),
        ("or read none with --split-field none", 'or read none with split_field="none"'),
        (
            "drop such edges with --skip-unknown",
            "drop such edges with rules=Rules(skip_unknown=True)",
        ),
        ("(--label-field says which)", "(label_field says which)"),
        ("--seed and --fractions would draw", "seed and fractions would draw"),
        ("no option -- here", "no option -- here"),
    ],
)
def test_options_are_arguments(option_words: str, expected: str) -> None:
    assert in_python(option_words) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TextGraph.from_arrays(["oak", ""], []), r'use rules=Rules\(missing_text="skip"\)'),
        (
            lambda: TextGraph.from_arrays(TEXTS, [("x", "q")], ids=["x", "y", "z"]),
            r"add the node, or drop such edges with rules=Rules\(skip_unknown=True\); no edge "
            r"joins two nodes, whose ids look like 'x'$",
        ),
        (
            lambda: TextGraph.from_pandas({"one": ["a"], "two": ["oak"]}),
            r"name the right one with id_field$",
        ),
        (
            lambda: TextGraph.from_pandas(
                {"id": ["a", "b"], "text": ["t", "u"], "label": ["t", "u"], "split": ["train"] * 2},
                rules=Rules(seed=3),
            ),
            r'seed would draw .*, or let one be drawn with split_field="none"$',
        ),
    ],
)
def test_errors_name_arguments(make: Callable[[], TextGraph], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        make()


def test_warnings_name_arguments(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "understudy.graph"):
        TextGraph.from_arrays(TEXTS, [(0, 1)], labels=[1, 2, -1])
    assert 'rules=Rules(negative_labels="class")' in caplog.text
    assert "--" not in caplog.text


def test_edges_between_positions_of_nodes_that_have_ids_are_told() -> None:
    with pytest.raises(
        BadInputError,
        match=r"'edges' must be pairs of ids, since there are 'ids', .* such as 0, where ids look "
        r"like 'x'; if they are positions, .*\[\(ids\[a\], ids\[b\]\) for a, b in edges\]",
    ):
        TextGraph.from_arrays(TEXTS, [(0, 1), (1, 2)], ids=["x", "y", "z"])
    graph = TextGraph.from_arrays(TEXTS, [(2, 1)], ids=[2, 1, 0])  # ids may be positions, too
    assert graph.adjacency.edges().tolist() == [[0, 1]]
