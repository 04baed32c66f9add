"""The service's teacher behind a decision endpoint, a real server."""

import asyncio

import pytest

from service.errors import TeacherError
from service.parts import teacher_setups
from service.settings import load_settings
from service.teacher.client import EndpointTeacher, Opinion, endpoint_teacher
from tests.bundles import tiny_graph, tiny_manifest
from tests.decision_server import decision_server
from understudy.endpoint.options import ClientOptions, WireName
from understudy.graph.prompts import Prompt

LABELS = ("net", "games")
PROMPT = Prompt("Categories: net; games", "a text about nets")


def ask(teacher: EndpointTeacher) -> Opinion:
    async def asked() -> Opinion:
        try:
            return await teacher.ask(PROMPT, LABELS)
        finally:
            await teacher.close()

    return asyncio.run(asked())


@pytest.mark.parametrize("wire", ["decisions", "systemone"])
def test_a_decision_endpoint_is_a_teacher_that_tells_scores(wire: WireName) -> None:
    with decision_server(lambda text, labels: {"net": 0.75, "games": 0.25}) as server:
        opinion = ask(endpoint_teacher(ClientOptions(server.url, "m", wire=wire)))
    assert opinion.label == "net"
    assert opinion.scores == pytest.approx({"net": 0.75, "games": 0.25})


def test_a_refused_question_is_that_questions_own_fault() -> None:
    with (
        decision_server(lambda text, labels: None) as server,
        pytest.raises(TeacherError, match="none of the labels") as refused,
    ):
        ask(endpoint_teacher(ClientOptions(server.url, "m", wire="decisions")))
    assert refused.value.of_question


def test_the_setting_chooses_the_wire_and_answers_are_kept_apart() -> None:
    manifest, names = tiny_manifest(tiny_graph(), "hashing"), set()
    chats = [{"teacher_constraint": "none"}, {"teacher_thinking": "wait"}]
    for given in ({}, {"teacher_wire": "decisions"}, {"teacher_wire": "systemone"}, *chats):
        settings = load_settings(teacher_url="http://127.0.0.1:9/v1", **given)
        assert settings.teacher is not None
        names.add(teacher_setups(settings, settings.teacher)(manifest).backend.name)
    assert len(names) == 5
