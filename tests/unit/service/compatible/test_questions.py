"""Repeated questions are decoded once, and keep their meaning."""

import msgspec
import pytest
from msgspec import Raw

from service.compatible.choices import Options
from service.compatible.decisions import read_decisions
from service.compatible.questions import LONGEST_KEPT, MOST_KEPT, QuestionReader, Questions
from service.errors import InvalidFieldError, MalformedJsonError
from understudy.endpoint.naming import label_reader


@pytest.fixture
def read() -> list[list[str]]:
    """What was taken apart, in its order."""
    return []


@pytest.fixture
def reader(read: list[list[str]]) -> QuestionReader[list[str]]:
    def options_of(given: list[str]) -> list[Options | None]:
        read.append(given)
        return [given]

    return QuestionReader(msgspec.json.Decoder(list[str]), options_of)


def test_the_same_words_are_taken_apart_once(
    reader: QuestionReader[list[str]], read: list[list[str]]
) -> None:
    first = reader.read(Raw(b'["net", "web"]'))
    assert reader.read(Raw(b'["net", "web"]')) is first
    assert reader.read(Raw(b'["web"]')).options == [["web"]]
    assert read == [["net", "web"], ["web"]]


def test_neither_many_nor_long_questions_are_kept(
    reader: QuestionReader[list[str]], read: list[list[str]]
) -> None:
    for number in range(MOST_KEPT + 1):
        reader.read(Raw(b'["%d"]' % number))
    long = Raw(b'["%s"]' % (b"x" * LONGEST_KEPT))
    read.clear()
    reader.read(Raw(b'["0"]'))
    reader.read(long)
    reader.read(long)
    assert [given[0][:1] for given in read] == ["0", "x", "x"]


def test_another_bundles_labels_are_looked_for_anew() -> None:
    questions = Questions(None, [["net", "web"], None])
    for names in (("net", "web"), ("web", "net"), ("web", "other")):
        found = {at: own.tolist() for at, own in questions.choices(label_reader(names)).items()}
        wanted = [names.index(name) for name in ("net", "web") if name in names]
        assert found == ({0: wanted} if len(wanted) == 2 else {})


def test_an_error_tells_its_place_in_the_whole_body_whatever_was_asked_before() -> None:
    question = (
        '{"type": "choice", "instructions": "?", "choices": [{"value": "a"}, {"value": "b"}]}'
    )
    body = f'{{"model": "any", "questions": [{question}], "input": %s}}'
    for _ in range(2):
        assert read_decisions((body % '"text"').encode(), {}).input == "text"
        with pytest.raises(InvalidFieldError) as caught:
            read_decisions((body % '[{"role": 5}]').encode(), {})
        assert caught.value.field == "input.0.role"
        with pytest.raises(MalformedJsonError, match=str(len(body) - 3)):
            read_decisions((body % "x").encode(), {})
    with pytest.raises(InvalidFieldError) as caught:
        read_decisions((body % '"text"').replace('"b"', "7").encode(), {})
    assert caught.value.field == "questions.0.choices.1.value"
