"""A teacher's endpoint: refusals, and independence of the requests in a batch."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.http_servers import serve
from training.teacher_server.answerer import MAX_BATCH, MAX_WAITING, Answerer
from training.teacher_server.app import create_app, parse_prompt
from training.teacher_server.errors import AnswerError, BusyError
from understudy.graph.prompts import Prompt

LABELS = ("net", "games", "ü [math]")


class LengthTeacher:
    """Its answer is computable by hand: the label at the description's length."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.released.set()
        self.batches: list[list[Prompt]] = []

    def __call__(self, prompts: Sequence[Prompt]) -> NDArray[np.float32]:
        self.released.wait(60)
        self.batches.append(list(prompts))
        if any("break" in prompt.description for prompt in prompts):
            raise RuntimeError("a secret text")
        rows = np.full((len(prompts), len(LABELS)), np.log(0.05), np.float32)
        for row, prompt in enumerate(prompts):
            rows[row, len(prompt.description) % len(LABELS)] = np.log(0.9)
            if "nothing" in prompt.description:
                rows[row] = np.nan
        return rows


@pytest.fixture
def teacher() -> LengthTeacher:
    return LengthTeacher()


@pytest.fixture
def client(teacher: LengthTeacher) -> Iterator[httpx.Client]:
    url, stop = serve(create_app("lengths", LABELS, teacher))
    with httpx.Client(base_url=f"{url}/v1", timeout=60) as opened:
        yield opened
    stop()


def chat(content: object, **fields: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": content}], **fields}


def test_an_answer_is_a_label_and_says_how_sure_it_is(client: httpx.Client) -> None:
    for form, expected in (
        (None, LABELS[2]),
        ({"type": "text"}, LABELS[2]),
        ({"type": "json_schema", "json_schema": {}}, {"category": LABELS[2]}),
        ({"type": "json_object"}, {"category": LABELS[2]}),
    ):
        body = chat("ab", response_format=form, temperature=0, unknown=[])
        answer = client.post("/chat/completions", json=body).json()
        content = answer["choices"][0]["message"]["content"]
        assert (content if isinstance(expected, str) else json.loads(content)) == expected
        assert answer["label_scores"][LABELS[2]] == pytest.approx(0.9)
    parts = chat([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])
    answer = client.post("/chat/completions", json=parts).json()
    assert answer["choices"][0]["message"]["content"] == LABELS[2]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"", 400, None),
        (b"nonsense", 400, None),
        (b"\xff\xfe", 400, None),
        (b"[" * 100_000, 400, None),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', 400, None),
        (b"[]", 422, None),
        (b"{}", 422, "messages"),
        (b'{"messages": []}', 422, "messages"),
        (b'{"messages": [{"role": "user"}]}', 422, "messages.0.content"),
        (b'{"messages": [{"role": "user", "content": null}]}', 422, "messages.0.content.str"),
        (json.dumps(chat("a", stream=True)).encode(), 422, "stream"),
        (json.dumps(chat("a", response_format=7)).encode(), 422, "response_format"),
        (json.dumps(chat("a" * 200_001)).encode(), 422, "messages"),
        (json.dumps(chat([{"type": "text", "text": "a" * 150_000}] * 2)).encode(), 422, "messages"),
        (b" " * 5_000_000, 413, None),
    ],
)
def test_a_malformed_request_is_refused_in_openais_form(
    client: httpx.Client, teacher: LengthTeacher, body: bytes, status: int, param: str | None
) -> None:
    answer = client.post("/chat/completions", content=body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert error["message"]
    assert "\n" not in error["message"]
    assert teacher.batches == []
    assert client.post("/chat/completions", json=chat("a")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/chat/completions", 405)]
)
def test_an_unknown_path_or_method_has_that_form(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_prompt_that_breaks_the_teacher_breaks_no_other(
    client: httpx.Client, teacher: LengthTeacher, caplog: pytest.LogCaptureFixture
) -> None:
    texts = ["a", "break", "bb", "nothing", "ccc"]
    teacher.released.clear()
    with ThreadPoolExecutor(len(texts)) as pool, caplog.at_level(logging.WARNING):
        asked = [pool.submit(client.post, "/chat/completions", json=chat(t)) for t in texts]
        teacher.released.set()
        answers = dict(zip(texts, (future.result() for future in asked), strict=True))
    for text in ("break", "nothing"):
        assert answers[text].status_code == 500
        assert answers[text].json()["error"]["type"] == "server_error"
    for text in ("a", "bb", "ccc"):
        content = answers[text].json()["choices"][0]["message"]["content"]
        assert content == LABELS[len(text) % 3]
    assert "secret" not in caplog.text


def test_a_batch_holds_prompts_of_one_instruction() -> None:
    """A teacher may read the instruction of a batch once, for all of its prompts."""
    teacher = LengthTeacher()

    async def ask() -> None:
        answerer = Answerer(teacher)
        prompts = [Prompt(f"instruction {n % 3}", "x" * (n % 7 + 1)) for n in range(90)]
        rows = await asyncio.gather(*(answerer.ask(prompt) for prompt in prompts))
        for prompt, row in zip(prompts, rows, strict=True):
            assert int(row.argmax()) == len(prompt.description) % len(LABELS)
        answerer.close()

    asyncio.run(ask())
    assert all(len({prompt.instruction for prompt in batch}) == 1 for batch in teacher.batches)
    assert all(len(batch) <= MAX_BATCH for batch in teacher.batches)
    assert len(teacher.batches) == 6  # of 90 prompts, 30 of each instruction


def test_too_many_questions_are_refused_and_left_ones_dropped() -> None:
    teacher = LengthTeacher()
    teacher.released.clear()

    async def ask() -> None:
        answerer = Answerer(teacher)
        prompt = Prompt("", "x")
        first = asyncio.create_task(answerer.ask(prompt))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asked = [asyncio.create_task(answerer.ask(prompt)) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await answerer.ask(prompt)
        for task in asked[1:]:
            task.cancel()
        await asyncio.wait(asked[1:])
        teacher.released.set()
        await first
        await asked[0]
        answerer.close()

    asyncio.run(ask())
    assert [len(batch) for batch in teacher.batches] == [1, 1]


def test_an_error_is_told_to_who_asked() -> None:
    async def ask() -> None:
        answerer = Answerer(LengthTeacher())
        with pytest.raises(AnswerError, match="failed on this prompt"):
            await answerer.ask(Prompt("", "break"))
        assert len(await answerer.ask(Prompt("", "x"))) == len(LABELS)
        answerer.close()

    asyncio.run(ask())


def test_a_prompt_is_taken_apart_as_it_was_put_together() -> None:
    for prompt in (Prompt("Categories: a", "text\n- other"), Prompt("", "")):
        assert parse_prompt(prompt.text) == prompt
    assert parse_prompt("### Instruction:\nof another kind") == Prompt(
        "", "### Instruction:\nof another kind"
    )
