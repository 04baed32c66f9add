"""Third-party clients of other APIs ask a served bundle."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Literal

import httpx
import numpy as np
import openai
import pydantic
import pytest
from openai.types.decision_create_params import (
    QuestionQuestionParamChoice,
    QuestionQuestionParamPredicate,
)
from openai.types.decision_input_message_param import DecisionInputMessageParam
from openai.types.shared_params.decision_input_json import DecisionInputJSON

from service.http.access import Role, add_key
from tests.bundles import TinyBundle, write_tiny_bundle
from tests.decision_server import mock
from tests.e2e.conftest import Service, serving
from understudy.endpoint.asker import Reply
from understudy.endpoint.opening import open_asker
from understudy.endpoint.options import ClientOptions, WireName
from understudy.engine import Engine, Node
from understudy.engine.requests import probabilities
from understudy.graph.prompts import Prompt

# Three of them are the options of the conformance run's choices: those are the student's.
LABELS = ("Billing", "Technical", "Sales", "Shipping")
# What the specification asks of a server whose key is tested, and of one that has none.
ONLY_WITH_A_KEY = {"auth.bearer", "auth.missing", "auth.invalid"}
ONLY_WITHOUT = {"auth.ignored-when-off"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> TinyBundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("decisions") / "bundle", label_names=LABELS)


@pytest.fixture(scope="module")
def url(bundle: TinyBundle) -> Iterator[str]:
    """Of a service that has no upstream."""
    with serving(bundle.folder) as running:
        yield f"{running.url}/v1"


@pytest.fixture(scope="module")
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="unread", max_retries=0)


def answered(service: Service) -> dict[str, float]:
    """Who answered → how many questions."""
    lines = service.client.get("/metrics").text
    found = re.findall(r'^understudy_decisions_total{route="(\w+)"} (\S+)', lines, re.MULTILINE)
    return {route: float(count) for route, count in found}


def conformance(url: str, report: Path, *words: str) -> dict[str, str]:
    """Requirement → pass, fail or skip, by `jevcompat test` as a process of its own."""
    command = [sys.executable, "-m", "jevcompat.cli", "test", url, "--json", str(report), *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    body = json.loads(report.read_text(encoding="utf-8"))
    assert body["aborted"] is None
    assert body["case_errors"] == body["inconclusive"] == []
    return {entry["id"]: entry["status"] for entry in body["results"]}


@pytest.mark.parametrize("with_key", [False, True])
def test_every_requirement_of_the_specification_holds(
    bundle: TinyBundle, tmp_path: Path, with_key: bool
) -> None:
    flags: list[str] = []
    words: list[str] = []
    if with_key:
        keys = tmp_path / "keys.json"
        words = ["--key", add_key(keys, "caller", Role.read)]
        flags = ["--keys-file", str(keys)]
    with mock() as upstream, serving(bundle.folder, "--upstream-url", upstream, *flags) as service:
        found = conformance(service.url, tmp_path / "report.json", *words)
        counts = answered(service)
    not_applying = ONLY_WITHOUT if with_key else ONLY_WITH_A_KEY
    others = {name: status for name, status in found.items() if name not in not_applying}
    assert len(others) >= 45
    assert set(others.values()) == {"pass"}, others
    assert counts["student"] >= 10  # the run met the student, not only what stands behind it
    assert counts["upstream"] >= 10


def test_openais_client_is_answered_by_the_student(client: openai.OpenAI, url: str) -> None:
    node: dict[str, object] = {"text": "http socket", "neighbors": ["node-1"]}
    data: dict[str, object | None] = {"node": node}
    part: DecisionInputJSON = {"type": "input_json", "data": data}
    message: DecisionInputMessageParam = {"type": "message", "role": "user", "content": [part]}
    choice: QuestionQuestionParamChoice = {
        "type": "choice",
        "name": "team",
        "instructions": "Which team should handle it?",
        "choices": [{"value": label} for label in LABELS],
    }
    predicate: QuestionQuestionParamPredicate = {"type": "predicate", "instructions": "Urgent?"}
    decision = client.decisions.create(
        model="gpt-6-luna", input=[message], questions=[choice, predicate]
    )
    first, second = decision.answers
    assert first.type == "choice"
    assert (first.name, second.type) == ("team", "refusal")
    asked = {"nodes": [node], "top_k": len(LABELS)}
    answer = httpx.post(f"{url.removesuffix('/v1')}/classify", json=asked).json()
    top = answer["predictions"][0]["top"]
    by_label = {entry.value: entry.probability for entry in first.probabilities}
    assert by_label == pytest.approx({entry["label"]: entry["score"] for entry in top}, abs=2e-6)
    assert first.choice == top[0]["label"]
    with pytest.raises(openai.NotFoundError, match="no stored node"):
        client.decisions.create(model="any", input='{"node": {"id": "nobody"}}', questions=[choice])


def test_openais_client_finds_the_model(client: openai.OpenAI) -> None:
    (listed,) = client.models.list()
    assert listed.id == "tiny-hashing"
    assert client.models.retrieve("tiny-hashing") == listed
    with pytest.raises(openai.NotFoundError, match="served model is 'tiny-hashing'") as refusal:
        client.models.retrieve("gpt/6 luna")
    assert (refusal.value.code, refusal.value.type) == ("unknown_model", "invalid_request_error")
    azure = client.with_options(default_query={"api-version": "preview"})
    assert azure.models.retrieve("tiny-hashing") == listed


class Team(Enum):
    billing = "Billing"
    sales = "Sales"


class Routed(pydantic.BaseModel):
    team: Team


class Chosen(pydantic.BaseModel):
    team: Literal["Technical", "Shipping", "Sales"]


@pytest.mark.parametrize("form", [Routed, Chosen])
def test_openais_client_parses_a_chat_that_the_student_answers(
    client: openai.OpenAI, form: type[pydantic.BaseModel]
) -> None:
    answer = client.chat.completions.parse(
        model="gpt", messages=[{"role": "user", "content": "http socket"}], response_format=form
    )
    assert isinstance(answer.choices[0].message.parsed, form)


def test_a_chat_that_the_student_cannot_answer_is_an_error_in_words(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="--upstream-url"):
        client.chat.completions.create(
            model="gpt", messages=[{"role": "user", "content": "Write a poem."}]
        )


@pytest.mark.parametrize("wire", ["chat", "decisions", "systemone"])
def test_our_own_client_of_teachers_takes_the_student_for_one(
    bundle: TinyBundle, url: str, wire: WireName
) -> None:
    """It reads the probability of each label, from the tokens of a chat, too."""
    prompt = Prompt("Which team?", "http socket url")

    async def ask() -> Reply:
        asker = open_asker(ClientOptions(url, "any", top=4, wire=wire))
        try:
            return await asker.ask(prompt, LABELS)
        finally:
            await asker.close()

    reply = asyncio.run(ask())
    text = prompt.text if wire == "chat" else prompt.description
    expected = np.log(probabilities(Engine.open(bundle.folder).logits([Node(text=text)]), 2.0)[0])
    assert reply.label == int(expected.argmax())
    assert reply.log_probabilities == pytest.approx(expected.tolist(), abs=1e-3)
