import inspect

import pytest

from understudy.graph import BadInputError
from understudy.graph.command_options import parse_fractions, parse_rules
from understudy.graph.commands import data


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
    assert {name: taken[name] for name in shared} == dict(shared)
    assert "rules" not in taken
