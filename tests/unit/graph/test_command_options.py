import inspect
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from understudy.graph import BadInputError, load_graph
from understudy.graph.building.builder import Built
from understudy.graph.command_options import (
    check_line_options,
    check_split_options,
    parse_fractions,
    parse_rules,
)
from understudy.graph.commands import data, produce
from understudy.graph.readers.synthetic import SyntheticOptions, drawn
from understudy.progress import Progress


@pytest.mark.parametrize("text", ["0.6,0.2,0.2", "0.6/0.2/0.2", " 0.6 , 0.2, 0.2"])
def test_fractions(text: str) -> None:
    assert parse_fractions(text) == (0.6, 0.2, 0.2)


@pytest.mark.parametrize("text", ["", "0.6,0.4", "a,b,c", "0.6,0.6,0.2", "0,0.5,0.5", "nan,0,0"])
def test_bad_fractions(text: str) -> None:
    with pytest.raises(BadInputError, match="--fractions"):
        parse_fractions(text)


def test_rules() -> None:
    rules = parse_rules(True, "skip", "drop", fractions="0.8,0.1,0.1", seed=7)
    assert (rules.skip_unknown, rules.missing_text, rules.unseen_labels) == (True, "skip", "drop")
    assert (rules.fractions, rules.seed) == ((0.8, 0.1, 0.1), 7)


@pytest.mark.parametrize("words", [("title", "fail"), ("fail", "keep")])
def test_unknown_words_are_refused(words: tuple[str, str]) -> None:
    with pytest.raises(BadInputError, match="must be one of"):
        parse_rules(False, *words)


@pytest.mark.parametrize("command", ["import", "pyg", "ogb"])
def test_what_imports_takes_the_same_rules(command: str) -> None:
    (found,) = (c for c in data.registered_commands if c.name == command)
    assert found.callback is not None
    taken = inspect.signature(found.callback).parameters
    shared = inspect.signature(parse_rules).parameters
    for name, option in shared.items():
        assert (taken[name].annotation, taken[name].default) == (option.annotation, option.default)
    assert "rules" not in taken


def test_a_name_of_two_lines_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    def make(_: Progress) -> Built:
        raise AssertionError("was asked for")

    with pytest.raises(BadInputError, match=r"^--name contains a control character, '\\n'; "):
        produce(tmp_path / "graph", False, "two\nlines", make)
    with pytest.raises(
        BadInputError, match=r"taken from OUT, contains .*; give another with --name"
    ):
        produce(tmp_path / "two\nlines", False, "", make)
    assert not list(tmp_path.iterdir())
    produce(
        tmp_path / "graph", False, " ", partial(drawn, SyntheticOptions(nodes=9, mean_degree=2))
    )
    assert load_graph(tmp_path / "graph").name == "graph"  # as without a name


def test_teaching_comes_next_only_where_there_is_something_to_learn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for classes in (1, 2):
        dials = SyntheticOptions(nodes=30, classes=classes, mean_degree=4.0)
        produce(tmp_path / "graph", False, "", partial(drawn, dials))
        shown = capsys.readouterr().out
        assert ("next: " in shown) == ("or without a teacher: " in shown) == (classes > 1)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"name": "first"}, "--split-name and --split-by need --splits"),
        ({"by": "position"}, "--split-name and --split-by need --splits"),
        ({"by": "row"}, "--split-by must be one of auto, id, position, not 'row'"),
        ({"splits": Path("s.json"), "field": "part"}, "leave --splits or --split-field out"),
        ({"ends": "from"}, "--source-field and --target-field need an edge file"),
    ],
)
def test_options_that_nothing_reads_are_refused(said: dict[str, Any], message: str) -> None:
    read: dict[str, Any] = {"splits": None, "name": None, "by": "auto", "field": None}
    with pytest.raises(BadInputError, match=message):
        check_split_options(**{**read, "edges": False, "ends": "", **said})
    check_split_options(Path("s.json"), "first", "id", "none", edges=True, ends="from")


@pytest.mark.parametrize(
    ("files", "said", "message"),
    [
        (["n.jsonl", "e.txt"], (";", None), "--delimiter applies only to .csv and"),
        (["n.parquet", "e.jsonl.gz"], ("", False), "--header and --no-header apply only to .csv"),
    ],
)
def test_how_lines_are_divided_is_not_said_of_files_without_such_lines(
    files: list[str], said: tuple[str, bool | None], message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInputError, match=message):
        check_line_options([Path(file) for file in files], *said)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "part-0.csv.gz").touch()
    check_line_options([Path("n.parquet"), tmp_path / "parts"], *said)
    check_line_options([Path(file) for file in files], "", None)
