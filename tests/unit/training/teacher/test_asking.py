"""Asking an endpoint: limited, retried, cached, and stopped."""

import asyncio
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from training.errors import EndpointError
from training.teacher.answer_cache import KeptAnswers
from training.teacher.asking import ask_all
from training.teacher.cost import Bill, tell_estimate
from training.teacher.endpoint import EndpointOptions
from understudy.endpoint.asker import Reply, Usage
from understudy.endpoint.errors import EndpointError as AskError
from understudy.endpoint.errors import (
    LateError,
    MalformedError,
    RefusedError,
    UnreachableError,
)
from understudy.graph.prompts import Prompt

LABELS = ("net", "games")
OPTIONS = EndpointOptions("http://host/v1", "a-model", concurrency=4, attempts=3, backoff=0.001)
PROMPTS = [Prompt("Categories", f"text {number}") for number in range(30)]
NET = Reply("net", 0, (-0.1, -2.35), Usage(1, 100, 2))


@dataclass
class ToldAsker:
    """Answers as `say` does; holds the first questions until there are `together`."""

    say: Callable[[int], Reply | AskError] = lambda number: NET
    asked: list[str] = field(default_factory=list)
    together: int = 1
    running: int = 0
    most: int = 0
    full: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False
    form: str = "scripted"

    async def ask(self, prompt: Prompt, label_names: Sequence[str]) -> Reply:
        self.asked.append(prompt.description)
        self.running += 1
        self.most = max(self.most, self.running)
        said = self.say(len(self.asked))
        if self.running >= self.together:
            self.full.set()
        await self.full.wait()
        self.running -= 1
        if isinstance(said, AskError):
            raise said
        return said

    async def close(self) -> None:
        self.closed = True


def ask(
    asker: ToldAsker, folder: Path, options: EndpointOptions = OPTIONS, count: int = len(PROMPTS)
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], Bill]:
    with KeptAnswers(folder / "answers.sqlite", "a-model", asker.form, LABELS) as kept:
        return ask_all(asker, PROMPTS[:count], LABELS, options, kept)


def test_questions_run_at_a_time_and_no_more_than_allowed(tmp_path: Path) -> None:
    asker = ToldAsker(together=4)
    rows, bill = ask(asker, tmp_path)
    assert sorted(asker.asked) == sorted(prompt.description for prompt in PROMPTS)
    assert asker.most == 4
    assert asker.closed
    np.testing.assert_allclose(rows, [(-0.1, -2.35)] * 30)
    assert bill == Bill(30, 30, 0, 3_000, 60, 0)
    assert bill.cost(replace(OPTIONS, input_price=2.0, output_price=10.0)) == pytest.approx(0.0066)


def test_what_is_kept_is_asked_and_charged_once(tmp_path: Path) -> None:
    ask(ToldAsker(), tmp_path, count=10)
    later = ToldAsker()
    rows, bill = ask(later, tmp_path)
    assert sorted(later.asked) == sorted(prompt.description for prompt in PROMPTS[10:])
    assert bill.questions == 20
    again = ToldAsker()
    same, free = ask(again, tmp_path)
    assert (again.asked, free) == ([], Bill())
    np.testing.assert_array_equal(same, rows)
    ask(other := ToldAsker(form="another"), tmp_path)
    assert len(other.asked) == 30


def test_what_was_on_its_way_when_another_failed_is_kept(tmp_path: Path) -> None:
    asker = ToldAsker(lambda number: RefusedError(401, "no such key") if number == 9 else NET)
    with pytest.raises(EndpointError, match=r"status 401: no such key; answers are kept"):
        ask(asker, tmp_path)
    answered = len(asker.asked) - 1
    assert answered < 30
    ask(later := ToldAsker(), tmp_path)
    assert len(later.asked) == 30 - answered


@pytest.mark.parametrize(
    "error", [UnreachableError("cannot be reached"), LateError("late"), RefusedError(503)]
)
def test_what_passes_is_asked_again_and_no_more_often_than_allowed(
    tmp_path: Path, error: AskError
) -> None:
    asker = ToldAsker(lambda number: error if number % 2 else NET)
    _, bill = ask(asker, tmp_path, replace(OPTIONS, concurrency=1), count=5)
    assert (bill.retries, bill.requests, len(asker.asked)) == (5, 5, 10)
    asker = ToldAsker(lambda number: error)
    with pytest.raises(EndpointError, match=r"failed 3 times.*run the same command again"):
        ask(asker, tmp_path / "down", replace(OPTIONS, concurrency=1))
    assert len(asker.asked) == 3


def test_a_pause_is_as_long_as_asked_for_and_ends_when_another_fails(tmp_path: Path) -> None:
    """The pause is a year: were it not bounded and ended, the test would time out."""
    year = 365 * 86_400.0

    def say(number: int) -> Reply | AskError:
        return RefusedError(429, retry_after=year) if number == 1 else RefusedError(401)

    options = replace(OPTIONS, longest_wait=year)
    with pytest.raises(EndpointError, match="status 401"):
        ask(ToldAsker(say), tmp_path, options)
    bounded = replace(OPTIONS, longest_wait=0.001, concurrency=1)
    asker = ToldAsker(lambda n: RefusedError(429, retry_after=year) if n == 1 else NET)
    _, bill = ask(asker, tmp_path, bounded)
    assert bill.retries == 1


def test_a_pause_of_nothing_is_no_reason_to_ask_again_at_once(tmp_path: Path) -> None:
    """A clock that is ahead makes one of every date; each attempt would be over in a moment."""
    options = replace(OPTIONS, backoff=0.05, concurrency=1)
    began = time.monotonic()
    with pytest.raises(EndpointError, match="failed 3 times"):
        ask(ToldAsker(lambda number: RefusedError(429, retry_after=0.0)), tmp_path, options)
    assert time.monotonic() - began > 0.75 * (0.05 + 0.1)


def test_a_refusal_is_the_questions_own_once_another_was_answered(tmp_path: Path) -> None:
    long = RefusedError(413, "too long")
    with pytest.raises(EndpointError, match="status 413: too long"):
        ask(ToldAsker(lambda number: long), tmp_path)
    one = replace(OPTIONS, concurrency=1)
    rows, bill = ask(ToldAsker(lambda number: long if number == 9 else NET), tmp_path, one)
    assert (bill.questions, bill.unreadable) == (30, 1)
    np.testing.assert_allclose(rows[8], np.log([0.5, 0.5]))
    # By what is kept it is known that others were answered; the refused one alone is asked again.
    again = ToldAsker(lambda number: long)
    _, bill = ask(again, tmp_path)
    assert (again.asked, bill.unreadable) == (["text 8"], 1)


def test_an_unreadable_answer_is_asked_for_twice_and_says_nothing(tmp_path: Path) -> None:
    unreadable = Reply("perhaps", None, None, Usage(1, 100, 9))
    asker = ToldAsker(lambda number: unreadable if number <= 2 else NET)
    rows, bill = ask(asker, tmp_path, replace(OPTIONS, concurrency=1))
    np.testing.assert_allclose(rows[0], np.log([0.5, 0.5]))
    assert (bill.unreadable, bill.requests, bill.output_tokens) == (1, 31, 2 * 9 + 29 * 2)
    named = Reply("games", 1, None)  # no probabilities are told
    rows, _ = ask(ToldAsker(lambda _: named), tmp_path / "named")
    np.testing.assert_allclose(np.exp(rows), [[0.05, 0.95]] * 30, atol=1e-6)


def test_answers_that_are_cut_off_name_the_option(tmp_path: Path) -> None:
    asker = ToldAsker(lambda number: Reply("Let me think", None, cut=True))
    with pytest.raises(EndpointError, match=r"20 of 20 .*--thinking wait"):
        ask(asker, tmp_path, replace(OPTIONS, concurrency=1))


def test_a_run_whose_questions_are_refused_says_why(tmp_path: Path) -> None:
    refused = ToldAsker(lambda number: Reply("", None, refusal="I cannot file this."))
    with pytest.raises(EndpointError, match=r"the last one refused: .I cannot file this\..; try"):
        ask(refused, tmp_path, replace(OPTIONS, concurrency=1))


def test_nonsense_is_asked_again_by_the_next_run(tmp_path: Path) -> None:
    """Else runs that are repeated come to their end by what the refused ones kept."""
    one = replace(OPTIONS, concurrency=1)
    nonsense = Reply("perhaps", None, None, Usage(1, 100, 9))
    for _ in range(3):
        asker = ToldAsker(lambda number: nonsense)
        with pytest.raises(EndpointError, match=r"20 of 20 questions with none of the labels"):
            ask(asker, tmp_path, one)
        assert len(asker.asked) == 40
    mended = ToldAsker()
    _, bill = ask(mended, tmp_path, one)
    assert (len(mended.asked), bill.unreadable) == (30, 0)


def test_few_answers_or_kept_ones_are_judged_in_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nonsense = Reply("perhaps", None, None, Usage(1, 100, 9))
    with pytest.raises(EndpointError, match=r"5 of 5 .*'perhaps'; try another model"):
        ask(ToldAsker(lambda number: nonsense), tmp_path, count=5)
    with KeptAnswers(tmp_path / "answers.sqlite", "a-model", "scripted", LABELS) as kept:
        for prompt in PROMPTS[:20]:
            kept.put(prompt, nonsense)
    with pytest.raises(EndpointError, match="20 of 30 questions with none of the labels"):
        ask(ToldAsker(), tmp_path)
    assert "20 of 20 cached answers name no label" in caplog.text
    ask(again := ToldAsker(), tmp_path)
    assert len(again.asked) == 20


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "answers.sqlite").write_bytes(b"no database " * 100)
    with pytest.raises(EndpointError, match=r"answers\.sqlite: file is not a database"):
        ask(ToldAsker(), tmp_path)


def test_an_answer_that_is_none_is_the_questions_own_once_another_was_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = MalformedError("the answer does not have the form of OpenAI's API", "DecodeError")
    with pytest.raises(EndpointError, match="does not answer like an OpenAI endpoint"):
        ask(ToldAsker(lambda number: broken), tmp_path)
    one = replace(OPTIONS, concurrency=1)
    both = ToldAsker(lambda number: broken if number in (9, 10) else NET)
    rows, bill = ask(both, tmp_path, one)
    assert (bill.questions, bill.unreadable, bill.retries) == (30, 1, 1)
    np.testing.assert_allclose(rows[8], np.log([0.5, 0.5]))
    assert "was not answered: http://host/v1 does not answer like" in caplog.text
    with pytest.raises(EndpointError, match="none of the labels, the last one with no answer"):
        ask(ToldAsker(lambda number: NET if number == 1 else broken), tmp_path / "most", one)


def test_an_answer_that_cannot_be_read_at_the_last_attempt_ends_no_run(tmp_path: Path) -> None:
    broken = MalformedError("the answer is not like an OpenAI server's", "DecodeError")
    once = replace(OPTIONS, concurrency=1, attempts=1)
    asker = ToldAsker(lambda number: broken if number == 9 else NET)
    _, bill = ask(asker, tmp_path, once)
    assert (bill.questions, bill.unreadable, bill.retries) == (30, 1, 0)


def test_an_answer_that_cannot_be_read_is_asked_for_once_more(tmp_path: Path) -> None:
    broken = MalformedError("the answer is not like an OpenAI server's", "DecodeError")
    one = replace(OPTIONS, concurrency=1)
    asker = ToldAsker(lambda number: broken if number == 9 else NET)
    rows, bill = ask(asker, tmp_path, one)
    assert (bill.questions, bill.unreadable, bill.retries) == (30, 0, 1)
    assert asker.asked[8] == asker.asked[9]
    np.testing.assert_allclose(rows[8], rows[0])


def test_money_is_spent_by_an_estimate_where_the_server_tells_no_tokens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    untold = Reply("net", 0, (-0.1, -2.35))
    priced = replace(OPTIONS, input_price=1e6, output_price=1e6, concurrency=1, most_money=100.0)
    asker = ToldAsker(lambda number: untold)
    rows, bill = ask(asker, tmp_path, priced)
    assert 0 < len(asker.asked) < 30
    assert np.isnan(rows).any()
    assert 100.0 <= bill.cost(priced) < 150.0
    assert "does not tell its tokens: they are estimated" in caplog.text
    _, free = ask(ToldAsker(lambda number: untold), tmp_path / "free")
    assert (free.input_tokens, free.output_tokens) == (0, 0)
    assert "does not tell its tokens: the estimate stands" in caplog.text
    assert "will cost 0 tokens" not in caplog.text


def test_a_damaged_answer_is_asked_for_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows, _ = ask(ToldAsker(), tmp_path)
    for damage in ("{", "[]", '{"text": "net"}', None):
        with sqlite3.connect(tmp_path / "answers.sqlite") as connection:
            one = "(SELECT question FROM answers LIMIT 1)"
            connection.execute(f"UPDATE answers SET answer = ? WHERE question = {one}", (damage,))
        connection.close()
        again, _ = ask(later := ToldAsker(), tmp_path)
        assert len(later.asked) == 1
        np.testing.assert_array_equal(again, rows)
    assert "is damaged" in caplog.text


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.unit.training.teacher.test_asking import NET, OPTIONS, ToldAsker, ask, replace

def say(number):
    if number == 12:
        os.kill(os.getpid(), signal.SIGKILL)
    return NET

ask(ToldAsker(say), Path(sys.argv[1]), replace(OPTIONS, concurrency=1))
"""


def test_a_killed_run_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    ask(later := ToldAsker(), tmp_path)
    assert sorted(later.asked) == sorted(prompt.description for prompt in PROMPTS[11:])


def test_a_question_of_two_requests_is_estimated_at_twice_the_tokens(
    caplog: pytest.LogCaptureFixture,
) -> None:
    prompts = [Prompt("", "x" * 4_000)]
    tell_estimate(prompts, 0, 1, OPTIONS)
    tell_estimate(prompts, 0, 2, OPTIONS)
    one, two = (re.search(r"about ([\d,]+) tokens .* and (\d+)", line) for line in caplog.messages)
    assert one is not None
    assert two is not None
    counts = [[int(found[place].replace(",", "")) for place in (1, 2)] for found in (one, two)]
    assert counts[1] == pytest.approx([2 * count for count in counts[0]], abs=1)
