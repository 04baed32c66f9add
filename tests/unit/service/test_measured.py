"""The asked teacher is the measured one, and is asked in the same way."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from math import inf
from typing import Any

import msgspec
import pytest
from fastapi import FastAPI

from service.cache import Cache, CacheOptions
from service.errors import ReloadError, SettingsError
from service.teacher.client import Opinion
from service.teacher.measured import (
    IdentityCheck,
    QuestionSettings,
    Verdict,
    check_reload,
    question_options,
)
from service.teacher.teacher import Teacher, TeacherOptions
from service.telemetry.metrics import Metrics
from tests.bundles import LABELS, tiny_graph, tiny_manifest
from tests.http_servers import serve
from tests.unit.service.scripted_teacher import ScriptedTeacher
from understudy.bundle import FileInfo, Manifest, TeacherRecord, parse_manifest
from understudy.graph.prompts import WORDING, Prompt, PromptOptions, prompt_hash

PROMPTS = PromptOptions(tokens=90, nested=True, show_labels=False)
RECORD = TeacherRecord(
    kind="causal",
    model="a model",
    model_hash="a" * 64,
    weights="b" * 64,
    prompt_hash=prompt_hash(PROMPTS, LABELS),
    wording=WORDING,
    hops=1,
    prompts=asdict(PROMPTS),
)
IDENTITY = {"model_hash": "a" * 64, "weights": "b" * 64, "prompt_hash": RECORD.prompt_hash}


def manifest(record: TeacherRecord | None = RECORD) -> Manifest:
    bare = tiny_manifest(tiny_graph(), "hashing")
    return parse_manifest(msgspec.structs.replace(bare, teacher=record).to_json())


def changed(**fields: Any) -> TeacherRecord:
    return msgspec.structs.replace(RECORD, **fields)


def test_questions_are_those_of_the_bundle() -> None:
    found = question_options(manifest(), QuestionSettings())
    assert (found.hops, found.prompts) == (1, PROMPTS)
    assert (
        question_options(manifest(), QuestionSettings(1, {"tokens": 90, "nested": True})) == found
    )


def test_what_was_told_of_the_labels_is_told_again() -> None:
    descriptions = (("net", "what runs over wires"),)
    described = replace(PROMPTS, label_descriptions=descriptions)
    record = changed(prompts=asdict(described), prompt_hash=prompt_hash(described, LABELS))
    found = question_options(
        manifest(record), QuestionSettings(prompts={"label_descriptions": descriptions})
    )
    assert found.prompts == described
    other = QuestionSettings(prompts={"label_descriptions": (("net", "wires"),)})
    with pytest.raises(SettingsError, match=r"--teacher-label-descriptions is .*'wires'"):
        question_options(manifest(record), other)
    with telling({**IDENTITY, "prompt_hash": record.prompt_hash}) as (url, _):
        assert check(url, manifest(record)) == Verdict("same")


def test_without_a_record_the_settings_decide() -> None:
    found = question_options(manifest(None), QuestionSettings(hops=3, prompts={"nested": True}))
    assert (found.hops, found.prompts) == (3, PromptOptions(tokens=380, nested=True))
    plain = question_options(manifest(None), QuestionSettings())
    assert (plain.hops, plain.prompts.tokens, plain.prompts.nested) == (2, 380, False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            QuestionSettings(hops=2),
            "--teacher-hops is 2, but the bundle's teacher was measured with 1",
        ),
        (QuestionSettings(prompts={"tokens": 91}), "--teacher-tokens is 91, but .* with 90"),
        (
            QuestionSettings(prompts={"nested": False}),
            "--teacher-nested is False, but .* with True",
        ),
    ],
)
def test_other_questions_are_refused_and_both_values_named(
    given: QuestionSettings, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        question_options(manifest(), given)
    with pytest.raises(ReloadError, match=message):
        check_reload(manifest(), given)


def test_another_teacher_at_the_same_address_is_asked_anew() -> None:
    identity = dict(IDENTITY)

    async def ask(url: str, bundle: Manifest) -> list[tuple[str, bool]]:
        identity_check = IdentityCheck(url, "teacher", "", 5.0)
        backend, metrics = ScriptedTeacher(), Metrics()
        backend.released.set()
        cache = Cache("teacher", CacheOptions(), None, metrics)
        teacher = Teacher(
            cache, TeacherOptions(), metrics, lambda: identity_check.identified(bundle)
        )
        prompt, answers = Prompt("Categories", "a text"), []
        for label in ("net", "games"):
            backend.script = partial(lambda label, _: Opinion(label), label)
            answers += [await teacher.ask(backend, prompt, LABELS) for _ in range(2)]
            identity["weights"] = "c" * 64  # it was tuned again, and started again
            identity_check.until = identity_check.begun = 0  # a minute later
            await identity_check.identified(bundle)
            assert identity_check.asking is not None
            await identity_check.asking
        await identity_check.close()
        await teacher.close()
        return [(answer.opinion.label, answer.cached) for answer in answers]

    for record in (RECORD, None):
        identity["weights"] = "b" * 64
        with telling(identity) as (url, _):
            found = asyncio.run(ask(url, manifest(record)))
        assert found == [("net", False), ("net", True), ("games", False), ("games", True)]


def test_one_that_cannot_be_reached_is_no_other() -> None:
    async def ask() -> list[str]:
        identity_check = IdentityCheck("http://127.0.0.1:9/v1", "teacher", "", 5.0)
        identities = [await identity_check.identified(manifest()) for _ in range(3)]
        first = identity_check.asking
        identity_check.begun = inf  # a moment ago
        await identity_check.identified(manifest())
        assert identity_check.asking is first
        identity_check.identity = "known"
        await identity_check.checked(manifest())
        await identity_check.close()
        return [*identities, identity_check.identity]

    assert asyncio.run(ask()) == ["", "", "", "known"]


@contextmanager
def telling(identity: dict[str, str] | None) -> Iterator[tuple[str, list[str]]]:
    """A server that tells who it is, and what it was asked."""
    app, asked = FastAPI(), list[str]()

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        asked.append("models")
        model: dict[str, Any] = {"id": "m", "object": "model"}
        if identity is not None:
            model["understudy"] = identity
        return {"object": "list", "data": [model]}

    url, stop = serve(app)
    try:
        yield f"{url}/v1", asked
    finally:
        stop()


def check(url: str, bundle: Manifest, model: str = "teacher") -> Verdict:
    return asyncio.run(IdentityCheck(url, model, "key", 5.0).checked(bundle))


def test_the_same_teacher_is_known() -> None:
    with telling(IDENTITY) as (url, _):
        assert check(url, manifest()) == Verdict("same")


@pytest.mark.parametrize("name", ["model_hash", "weights", "prompt_hash"])
def test_another_teacher_is_refused_and_both_digests_named(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with telling({**IDENTITY, name: "c" * 64}) as (url, _), caplog.at_level(logging.WARNING):
        verdict = check(url, manifest())
    assert verdict.refused
    assert "cccccccccccc" in verdict.reason
    assert IDENTITY[name][:12] in verdict.reason
    assert verdict.reason in caplog.text


def test_a_stranger_is_believed_and_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    async def twice(url: str) -> list[Verdict]:
        identity_check = IdentityCheck(url, "teacher", "", 5.0)
        first = await identity_check.checked(manifest())
        identity_check.until = 0  # a minute later
        return [first, await identity_check.checked(manifest())]

    with telling(None) as (url, asked), caplog.at_level(logging.WARNING):
        verdicts = asyncio.run(twice(url))
    assert [verdict.state for verdict in verdicts] == ["untold", "untold"]
    assert len(asked) == 2
    assert caplog.text.count("does not identify itself") == 1


def test_an_endpoints_own_name_is_compared() -> None:
    other = manifest(changed(kind="endpoint", model="big-model", model_hash="", weights=""))
    with telling(None) as (url, _):
        assert check(url, other, "big-model").state == "untold"
        verdict = check(url, other, "small-model")
    with telling(IDENTITY) as (url, _):  # it was asked as an endpoint: no digest was kept
        assert check(url, other, "big-model").state == "untold"
    assert verdict.state == "other"
    assert "'small-model'" in verdict.reason
    assert "'big-model'" in verdict.reason


def test_prompts_of_another_release_are_refused_without_asking() -> None:
    with telling(IDENTITY) as (url, asked):
        verdict = check(url, manifest(changed(prompt_hash="d" * 64)))
        assert verdict.state == "other"
        assert "dddddddddddd" in verdict.reason
        newer = manifest(changed(prompts={**RECORD.prompts, "poems": True}))
        assert "prompt options poems" in check(url, newer).reason
    assert asked == []


def test_one_that_is_away_is_asked_again() -> None:
    async def back(url: str) -> list[str]:
        identity_check = IdentityCheck("http://127.0.0.1:9/v1", "teacher", "", 5.0)
        first = await identity_check.refusal(manifest())
        assert first is not None
        identity_check.url = f"{url}/models"
        assert await identity_check.refusal(manifest()) is None
        return [str(first)]

    with telling(IDENTITY) as (url, _):
        refusals = asyncio.run(back(url))
    assert "cannot be reached" in refusals[0]


def test_another_bundle_has_the_teacher_tell_at_once_who_it_is() -> None:
    """Else the answers of the one before it would be taken for its answers, for a minute."""
    identity = dict(IDENTITY)

    async def ask(url: str) -> list[str]:
        identity_check = IdentityCheck(url, "teacher", "", 5.0)
        found = [await identity_check.identified(manifest())]
        identity["weights"] = "c" * 64
        other = msgspec.structs.replace(
            manifest(changed(weights="c" * 64)), files={"other": FileInfo(0, "")}
        )
        assert identity_check.latest_verdict(manifest()) == Verdict("same")
        assert identity_check.latest_verdict(other) is None
        found += [await identity_check.identified(bundle) for bundle in (manifest(), other)]
        assert identity_check.latest_verdict(other) == Verdict("same")
        await identity_check.close()
        return [identity[-1] for identity in found]

    with telling(identity) as (url, asked):
        assert asyncio.run(ask(url)) == ["b", "b", "c"]
    assert len(asked) == 2


def test_who_waits_for_a_teacher_that_says_nothing_waits_once() -> None:
    async def ask(port: int) -> None:
        identity_check = IdentityCheck(f"http://127.0.0.1:{port}/v1", "teacher", "", 0.1)
        refusals = await asyncio.gather(*(identity_check.refusal(manifest()) for _ in range(20)))
        assert all("cannot be reached" in str(refusal) for refusal in refusals)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        asyncio.run(ask(silent.getsockname()[1]))
        connections = 0
        with suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                connections += 1
    assert connections == 1
