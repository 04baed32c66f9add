import pytest

from understudy.graph import BadInputError
from understudy.graph.command_options import parse_fractions, parse_rules


@pytest.mark.parametrize("text", ["0.6,0.2,0.2", "0.6/0.2/0.2", " 0.6 , 0.2, 0.2"])
def test_fractions(text: str) -> None:
    assert parse_fractions(text) == (0.6, 0.2, 0.2)


@pytest.mark.parametrize("text", ["", "0.6,0.4", "a,b,c", "0.6,0.6,0.2", "0,0.5,0.5", "nan,0,0"])
def test_bad_fractions(text: str) -> None:
    with pytest.raises(BadInputError, match="--fractions"):
        parse_fractions(text)


def test_rules() -> None:
    rules = parse_rules(True, "skip", "drop", "0.8,0.1,0.1", 7)
    assert (rules.skip_unknown, rules.missing_text, rules.unseen_labels) == (True, "skip", "drop")
    assert (rules.fractions, rules.seed) == ((0.8, 0.1, 0.1), 7)


@pytest.mark.parametrize("words", [("title", "fail"), ("fail", "keep")])
def test_unknown_words_are_refused(words: tuple[str, str]) -> None:
    with pytest.raises(BadInputError, match="must be one of"):
        parse_rules(False, *words, "0.6,0.2,0.2", 0)
