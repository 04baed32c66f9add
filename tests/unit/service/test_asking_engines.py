"""Another bundle takes over: each has its own words, labels and teacher."""

import asyncio
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
    told = msgspec.to_builtins(prompts)
    return TeacherRecord(kind, model, weights, weights, digest, WORDING, 1, told)


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
