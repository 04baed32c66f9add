"""Questions and answers between two processes, here two ends on one event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec import Raw

from service.errors import WorkerGoneError
from service.workers.channel import Answering, Channel


@asynccontextmanager
async def pair(answering: Answering) -> AsyncIterator[tuple[Channel, Channel]]:
    """One that asks, and one that answers."""

    async def nothing(_: str, __: Raw) -> object:
        return None

    first, second = socket.socketpair()
    channels = Channel(first, nothing), Channel(second, answering)
    tasks = [asyncio.create_task(c.listen(await c.open())) for c in channels]
    try:
        yield channels
    finally:
        for channel in channels:
            channel.close()
        await asyncio.gather(*tasks)


def test_answers_find_their_questions_in_any_order() -> None:
    async def talk() -> None:
        second_asked = asyncio.Event()

        async def answer(what: str, _: Raw) -> object:
            if what == "first":
                await second_asked.wait()
            else:
                second_asked.set()
            return f"of {what}"

        async with pair(answer) as (asking, _):
            asked = [asking.ask(what, str) for what in ("first", "second")]
            assert await asyncio.gather(*asked) == ["of first", "of second"]

    asyncio.run(talk())


def test_a_side_that_leaves_fails_what_it_was_asked() -> None:
    async def talk() -> None:
        async def leave(_: str, __: Raw) -> object:
            other.close()
            return None

        async with pair(leave) as (asking, other):
            with pytest.raises(WorkerGoneError, match="has ended"):
                await asking.ask("anything", str)
            with pytest.raises(WorkerGoneError, match="has ended"):
                await asking.ask("again", str)

    asyncio.run(talk())


def test_a_question_that_fails_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def talk() -> None:
        async def fail(what: str, _: Raw) -> object:
            raise ZeroDivisionError(what)

        async with pair(fail) as (asking, _):
            with pytest.raises(WorkerGoneError, match=r"failed \(this\)"):
                await asking.ask("this", str)

    asyncio.run(talk())
    assert "ZeroDivisionError" in caplog.text


def test_an_answer_that_does_not_come_is_given_up() -> None:
    async def talk() -> None:
        async def hang(_: str, __: Raw) -> object:
            await asyncio.Event().wait()
            return None

        async with pair(hang) as (asking, _):
            with pytest.raises(WorkerGoneError, match=r"did not answer within .* s \(this\)"):
                await asking.ask("this", str, seconds=0.01)

    asyncio.run(talk())
