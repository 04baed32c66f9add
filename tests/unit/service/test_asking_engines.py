"""After a reload, the new bundle's own prompts, labels and teacher are used."""

import asyncio
import gc
from pathlib import Path

import msgspec
import pytest

from service.parts import Parts, build_parts
from service.settings import load_settings
from service.teacher.teacher import TeacherAnswer
from tests.bundles import LABELS, write_tiny_bundle
from tests.openai_server import OpenAIServer, openai_server
from understudy.bundle import TeacherRecord, parse_manifest
from understudy.bundle.reader import MANIFEST
from understudy.engine import Engine, Node
from understudy.graph.prompts import WORDING, PromptOptions, prompt_hash

OTHERS = ("wires", "editors", "toys", "lore")


def record(
    model: str, labels: tuple[str, ...], kind: str = "endpoint", weights: str = ""
) -> TeacherRecord:
    """Of a teacher that was measured with plain prompts."""
    prompts = PromptOptions()
    digest = prompt_hash(prompts, labels)
    builtins = msgspec.to_builtins(prompts)
    return TeacherRecord(kind, model, weights, weights, digest, WORDING, 1, builtins)


def opened(folder: Path, labels: tuple[str, ...], teacher: TeacherRecord | None = None) -> Engine:
    write_tiny_bundle(folder, label_names=labels)
    path = folder / MANIFEST
    manifest = parse_manifest(path.read_bytes())
    path.write_text(msgspec.structs.replace(manifest, teacher=teacher).to_json())
    return Engine.open(folder)


async def label_by_teacher(parts: Parts, engine: Engine) -> tuple[str, bool]:
    """Of one node: the answer, and whether it was cached."""
    asking = parts.classifier.asking
    assert asking is not None
    (answer,) = (await asking.ask(engine.resolve([Node(id="node-1")]), engine)).values()
    assert isinstance(answer, TeacherAnswer), answer
    return answer.opinion.label, answer.cached


def first_offered(request: dict[str, object]) -> str:
    schema = str(request["response_format"])
    return next(label for label in ("wires", "net") if f"'{label}'" in schema)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Engine, Engine]:
    old = opened(tmp_path / "old", LABELS, record("first", LABELS))
    return old, opened(tmp_path / "new", OTHERS, record("second", OTHERS))


def asked(server: OpenAIServer) -> list[tuple[str, bool, bool]]:
    """Model, and whether prompt and answer's form hold the new labels; a question each."""
    return [
        (
            request["model"],
            "Categories: wires" in request["messages"][0]["content"],
            "wires" in str(request["response_format"]),
        )
        for request in server.requests
    ]


def test_a_request_of_the_old_bundle_is_asked_in_its_words_while_another_takes_over(
    pair: tuple[Engine, Engine],
) -> None:
    old, new = pair

    async def ask(url: str) -> list[tuple[str, bool]]:
        settings = load_settings(teacher_url=url)
        parts = build_parts(old, settings, None)
        parts.reloader.attach(new)
        found = [await label_by_teacher(parts, engine) for engine in (old, new, old, new)]
        new.close()
        await parts.close()
        return found

    with openai_server(first_offered) as server:
        answers = asyncio.run(ask(server.url))
    assert answers == [("net", False), ("wires", False), ("net", True), ("wires", True)]
    assert asked(server) == [("first", False, False), ("second", True, True)]


def test_another_measured_teacher_of_the_same_name_is_asked_anew(tmp_path: Path) -> None:
    old, new = (
        opened(tmp_path / weights, LABELS, record("a model", LABELS, "causal", weights))
        for weights in ("a" * 64, "b" * 64)
    )

    async def ask(url: str) -> list[tuple[str, bool]]:
        parts = build_parts(old, load_settings(teacher_url=url), None)
        parts.reloader.attach(new)
        found = [await label_by_teacher(parts, engine) for engine in (old, old, new)]
        new.close()
        await parts.close()
        return found

    with openai_server(first_offered) as server:
        assert [cached for _, cached in asyncio.run(ask(server.url))] == [False, True, False]


def test_what_asked_a_replaced_bundles_teacher_is_closed_unless_it_is_asked_again(
    tmp_path: Path,
) -> None:
    """A refresh a day brings a teacher of other weights a day, each with connections."""
    weights = ("a" * 64, "b" * 64, "c" * 64, "a" * 64)
    folders = [tmp_path / str(number) for number in range(len(weights))]

    async def reloaded(url: str) -> tuple[list[int], str]:
        engine = opened(folders[0], LABELS, record("a model", LABELS, "causal", weights[0]))
        parts = build_parts(engine, load_settings(teacher_url=url), None)
        asking = parts.classifier.asking
        assert asking is not None
        numbers = []
        for folder, known in zip(folders[1:], weights[1:], strict=True):
            await label_by_teacher(parts, engine)
            other = opened(folder, LABELS, record("a model", LABELS, "causal", known))
            parts.reloader.attach(other)
            parts.slot.engine, engine = other, other
            del other
            gc.collect()  # what the one before asked is closed with the next one
            numbers.append(len(asking.backends))
        label, _ = await label_by_teacher(parts, engine)
        await parts.close()
        return numbers, label

    with openai_server(first_offered) as server:
        assert asyncio.run(reloaded(server.url)) == ([2, 2, 2], "net")
