"""The teacher on call: circuit breaker, shared questions, and cached answers."""

import asyncio
import logging

import msgspec
import pytest

from service.cache import Cache, CacheOptions
from service.errors import SettingsError, TeacherBusyError, TeacherError
from service.settings import load_settings
from service.single_flight import SingleFlight
from service.teacher.breaker import Breaker, Permit
from service.teacher.client import EndpointTeacher, Opinion, endpoint_teacher
from service.teacher.teacher import Teacher, TeacherOptions, from_bytes, to_bytes
from service.telemetry.logs import RareLog
from service.telemetry.metrics import Metrics
from tests.bundles import LABELS
from tests.openai_server import openai_server
from tests.unit.service.scripted_teacher import ScriptedTeacher, open_teacher
from understudy.endpoint.errors import RefusedError
from understudy.endpoint.options import ClientOptions, Constraint
from understudy.graph.prompts import Prompt

PROMPT = Prompt("Categories", "a text")
UNREADABLE = TeacherError("none of the labels", of_question=True)
DOWN = TeacherError("cannot be reached")


def leave_of(breaker: Breaker) -> Permit:
    leave = breaker.admit()
    assert leave is not None
    return leave


def test_a_late_answer_does_not_end_another_ones_trial() -> None:
    breaker = Breaker(failures=2, seconds=0)
    early = [leave_of(breaker) for _ in range(4)]
    breaker.failed(early[0])
    breaker.failed(early[1])
    assert not breaker.closed
    trial = leave_of(breaker)
    assert trial.trial
    for late, report in ((early[2], breaker.failed), (early[3], breaker.gave_up)):
        report(late)
        assert breaker.admit() is None  # the trial still runs
    breaker.succeeded(trial)
    assert breaker.closed


def test_only_a_teacher_that_was_left_alone_answers_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    breaker = Breaker(failures=1, seconds=0)
    breaker.succeeded(leave_of(breaker))
    assert caplog.messages == []
    breaker.failed(leave_of(breaker))
    breaker.succeeded(leave_of(breaker))
    opened, closed = caplog.messages
    assert "failed 1 times in a row" in opened
    assert closed == "the teacher answers again"


def test_a_late_failure_keeps_it_open_no_longer() -> None:
    breaker = Breaker(failures=1, seconds=100)
    first, late = leave_of(breaker), leave_of(breaker)
    breaker.failed(first)
    until = breaker.open_until
    breaker.failed(late)
    assert breaker.open_until == until


def test_a_question_that_is_to_blame_opens_nothing_and_its_trial_closes_it() -> None:
    breaker = Breaker(failures=1, seconds=0)
    for _ in range(10):
        breaker.undecided(leave_of(breaker))
    assert breaker.closed
    breaker.failed(leave_of(breaker))
    assert not breaker.closed
    breaker.undecided(leave_of(breaker))
    assert breaker.closed


@pytest.mark.parametrize(
    ("error", "left_alone"), [(UNREADABLE, False), (DOWN, True), (RuntimeError("a bug"), True)]
)
def test_failures_in_a_row_leave_the_teacher_alone(error: Exception, left_alone: bool) -> None:
    async def ask() -> tuple[int, float]:
        metrics, backend = Metrics(), ScriptedTeacher(lambda _: error)
        backend.released.set()
        teacher = open_teacher(metrics, breaker_failures=3)
        for number in range(6):
            with pytest.raises(TeacherError):
                await teacher.ask(backend, Prompt("", f"text {number}"), LABELS)
        await teacher.close()
        return len(backend.asked), metrics.teacher_answers.values.get(("left_alone",), 0)

    assert asyncio.run(ask()) == ((3, 3) if left_alone else (6, 0))


def test_equal_questions_at_a_time_are_asked_once() -> None:
    async def ask() -> None:
        backend = ScriptedTeacher()
        teacher = open_teacher(Metrics(), concurrency=8)
        asking = [asyncio.create_task(teacher.ask(backend, PROMPT, LABELS)) for _ in range(5)]
        other = asyncio.create_task(teacher.ask(backend, Prompt("", "other"), LABELS))
        while len(backend.asked) < 2:
            await asyncio.sleep(0)
        asking[0].cancel()  # who asked first leaves; the others still get the answer
        backend.released.set()
        answers = await asyncio.gather(*asking, other, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        labels = [a.opinion.label for a in answers[1:] if not isinstance(a, BaseException)]
        assert labels == ["net"] * 5
        assert len(backend.asked) == 2
        await teacher.close()

    asyncio.run(ask())


def test_an_error_is_told_to_all_who_wait_and_asked_about_again() -> None:
    async def ask() -> None:
        backend = ScriptedTeacher(lambda _: DOWN)
        backend.released.set()
        teacher = open_teacher(Metrics())
        errors = await asyncio.gather(
            *(teacher.ask(backend, PROMPT, LABELS) for _ in range(3)), return_exceptions=True
        )
        assert [str(error) for error in errors] == [str(DOWN)] * 3
        assert len({id(error) for error in errors}) == 3
        assert len(backend.asked) == 1
        with pytest.raises(TeacherError):
            await teacher.ask(backend, PROMPT, LABELS)
        assert len(backend.asked) == 2
        await teacher.close()

    asyncio.run(ask())


def test_work_that_nobody_waits_for_is_cancelled() -> None:
    async def run() -> None:
        flights: SingleFlight[int] = SingleFlight()
        started, cancelled = asyncio.Event(), asyncio.Event()

        async def work() -> int:
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return 1

        async def quick() -> int:
            return 2

        waiting = [asyncio.create_task(flights.run("a", work)) for _ in range(2)]
        await started.wait()
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        assert not cancelled.is_set()
        waiting[1].cancel()
        assert await flights.run("b", quick) == 2
        await asyncio.wait(waiting)
        assert await flights.run("a", quick) == 2  # nobody joins what is being cancelled
        await cancelled.wait()
        assert not flights.tasks
        assert not flights.waiting

    asyncio.run(run())


def test_too_many_that_wait_are_refused() -> None:
    async def ask() -> None:
        backend = ScriptedTeacher()
        teacher = open_teacher(Metrics(), concurrency=1, waiting=2)
        prompts = [Prompt("", f"text {number}") for number in range(5)]
        tasks = [asyncio.create_task(teacher.ask(backend, prompt, LABELS)) for prompt in prompts]
        while sum(task.done() for task in tasks) < 2:
            await asyncio.sleep(0)
        backend.released.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(answer, TeacherBusyError) for answer in answers) == 2
        await teacher.close()

    asyncio.run(ask())


GOOD_SCORES = dict(zip(LABELS, (0.7, 0.1, 0.1, 0.1), strict=True))


def test_what_a_cache_holds_is_read_back() -> None:
    for opinion in (Opinion("net"), Opinion("net", GOOD_SCORES)):
        assert from_bytes(to_bytes(opinion), LABELS) == opinion


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"[]",
        b"[" * 60_000,
        b'{"label": "net"}',
        b'{"label": "unknown", "scores": null}',
        b'{"label": ["net"], "scores": null}',
        b'{"label": "net", "scores": {}}',
        b'{"label": "net", "scores": []}',
        b'{"label": "net", "scores": {"net": "high"}}',
        msgspec.json.encode({"label": "net", "scores": {**GOOD_SCORES, "games": 0.9}}),
        msgspec.json.encode({"label": "games", "scores": GOOD_SCORES}),
        msgspec.json.encode({"label": "net", "scores": {**GOOD_SCORES, "games": None}}),
    ],
)
def test_a_malformed_cached_answer_is_a_counted_miss(value: bytes) -> None:
    assert from_bytes(value, LABELS) is None

    async def ask() -> None:
        metrics, backend = Metrics(), ScriptedTeacher(lambda _: Opinion("net", GOOD_SCORES))
        backend.released.set()
        teacher = open_teacher(metrics)
        await teacher.ask(backend, PROMPT, LABELS)
        (key,) = teacher.cache.memory.entries
        await teacher.cache.put({key: value})
        again = await teacher.ask(backend, PROMPT, LABELS)
        assert (again.opinion.label, again.cached) == ("net", False)
        assert metrics.cache.values["teacher", "malformed"] == 1
        assert (await teacher.ask(backend, PROMPT, LABELS)).cached
        await teacher.close()

    asyncio.run(ask())


def test_a_refusal_is_logged_once_a_while_with_its_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def ask(url: str) -> None:
        backend = endpoint_teacher(
            ClientOptions(url, "model", "sk-Top5ecret", constraint="json_schema")
        )
        teacher = Teacher(
            Cache("teacher", CacheOptions(), None, Metrics()), TeacherOptions(), Metrics()
        )
        for number in range(20):
            with pytest.raises(TeacherError, match=r"^the teacher refused with status 422$"):
                await teacher.ask(backend, Prompt("", f"confidential {number}"), LABELS)
        await teacher.close()

    with openai_server(lambda _: "net") as server, caplog.at_level(logging.WARNING):
        server.status = 422
        server.body = b'{"detail": "sk-Top5ecret: confidential 3: unknown key response_format"}'
        asyncio.run(ask(server.url))
    (line,) = [record.getMessage() for record in caplog.records]
    assert "unknown key response_format" in line
    assert "--teacher-constraint" in line
    assert "onfidential" not in line
    assert "Top5ecret" not in line


@pytest.mark.parametrize(
    ("status", "constraint", "advised"),
    [(422, "choice", True), (400, "grammar", True), (422, "auto", False), (401, "choice", False)],
)
def test_another_constraint_is_advised_where_the_chosen_one_may_be_to_blame(
    status: int, constraint: Constraint, advised: bool
) -> None:
    asker = endpoint_teacher(ClientOptions("http://localhost:1/v1", "model")).asker
    teacher = EndpointTeacher(asker, "model", constraint)
    failure = teacher.failure(RefusedError(status, "it says why"))
    assert failure.reason.startswith("it says why")
    assert (constraint in failure.reason) == advised
    asyncio.run(teacher.close())


def test_a_rare_log_counts_what_it_leaves_out(caplog: pytest.LogCaptureFixture) -> None:
    seldom, often = (RareLog(logging.getLogger("test"), seconds) for seconds in (1_000, 0))
    for number in range(5):
        seldom.warning("full", "full: %d%%", number)
        seldom.warning(f"kind {number}", "another")
    assert [r.getMessage() for r in caplog.records] == ["full: 0%", *["another"] * 5]
    seldom.seconds = 0
    seldom.warning("full", "full: %d%%", 5)
    assert caplog.messages[-1] == "full: 5% (and 4 similar ones since the last line)"
    for number in range(1_000):
        often.warning(str(number), "many kinds")
    assert len(often.logged) <= 100


def test_a_teacher_error_needs_no_more_than_words() -> None:
    error = TeacherError("no answer")
    assert (str(error), error.details, TeacherError("x").reason) == ("no answer", {}, "")


def test_an_endpoint_that_no_request_can_be_sent_to_is_refused_at_once() -> None:
    for flags, name in (
        ({"redis_url": "foo"}, "redis_url"),
        ({"redis_url": "redis://:pa#ss@host:6379/0"}, "redis_url"),
        ({"redis_url": "redis://host:6379/db"}, "redis_url"),
        ({"redis_url": "redis://host:6379/0?decode_responses=True"}, "redis_url"),
        ({"teacher_url": "foo"}, "teacher_url"),
        ({"teacher_url": "http://[::1"}, "teacher_url"),
        ({"teacher_url": "http://host/v1", "teacher_key": "a\nb"}, "teacher_key"),
    ):
        with pytest.raises(SettingsError) as caught:
            load_settings(**flags)
        assert caught.value.details == {"setting": name}
        assert "\n" not in str(caught.value)
        assert "pa#" not in str(caught.value)
    assert load_settings(redis_url="redis://:p%23ss@host:6379/1", teacher_url="https://host/v1")
