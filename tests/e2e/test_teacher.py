"""The teacher on call: routes, and a teacher that hangs, dies or talks nonsense."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest

from tests.bundles import LABELS, TinyBundle
from tests.e2e.conftest import Service, serving
from tests.openai_server import OpenAIServer, openai_server


def label_in_question(request: dict[str, Any]) -> str:
    """Answers by a word of the node's own text, in JSON as its schema asks."""
    content = request["messages"][0]["content"]
    own = content.partition("### Input:\n")[2].partition("\n")[0]
    label = "editors" if "cursor" in own else "games"
    assert LABELS[0] in str(request["response_format"])
    return f'{{"category": "{label}"}}'


@contextmanager
def taught(bundle: TinyBundle, *flags: str) -> Iterator[tuple[Service, OpenAIServer]]:
    with openai_server(label_in_question) as teacher:
        options = ("--teacher-url", teacher.url, "--teacher-key", "s3cret", *flags)
        with serving(bundle.folder, *options) as service:
            yield service, teacher


def median_score(bundle: TinyBundle) -> str:
    """Half of the stored nodes score below."""
    exponents = np.exp(bundle.logits.astype(np.float64) / 2.0)  # its temperature
    return f"{np.median(exponents.max(axis=1) / exponents.sum(axis=1)):.4f}"


@pytest.fixture(scope="module")
def both(tiny_bundle: TinyBundle) -> Iterator[tuple[Service, OpenAIServer]]:
    flags = (
        "--auto-threshold",
        median_score(tiny_bundle),
        "--teacher-seconds",
        "20",
        "--shadow-share",
        "1",
    )
    with taught(tiny_bundle, *flags) as pair:
        yield pair


NODES = ({"id": "node-1"}, {"text": "a cursor", "neighbors": ["node-2"]}, {"id": "nobody"})


def test_the_teacher_answers_each_question_once(both: tuple[Service, OpenAIServer]) -> None:
    service, teacher = both
    first = service.classify(*NODES, route="teacher").json()["predictions"]
    assert [p["label"] for p in first] == ["editors", "editors", None]
    assert [p["route"] for p in first[:2]] == ["teacher", "teacher"]
    assert [p["cached"] for p in first[:2]] == [False, False]
    assert first[0]["score"] is None
    assert first[2]["error"]["code"] == "unknown_node"
    assert teacher.authorizations[-1] == "Bearer s3cret"
    asked = len(teacher.requests)
    again = service.client.post("/classify/teacher", json={"nodes": NODES}).json()["predictions"]
    assert [p["cached"] for p in again[:2]] == [True, True]
    assert len(teacher.requests) == asked


def test_a_question_shows_neighbors_but_no_held_out_label(
    both: tuple[Service, OpenAIServer], tiny_bundle: TinyBundle
) -> None:
    service, teacher = both
    service.classify({"text": "sprite", "neighbors": ["node-1", "node-35"]}, route="teacher")
    content = next(
        r["messages"][0]["content"]
        for r in reversed(teacher.requests)
        if "### Input:\nsprite\n" in r["messages"][0]["content"]
    )
    assert f"- {tiny_bundle.text(1)} [editors]" in content  # node 1 is a training node
    assert f"- {tiny_bundle.text(35)}\n" in content + "\n"  # node 35 is a test node


def test_auto_asks_where_the_student_is_unsure(
    both: tuple[Service, OpenAIServer], tiny_bundle: TinyBundle
) -> None:
    service, _ = both
    threshold = float(median_score(tiny_bundle))
    ids = [{"id": f"node-{n}"} for n in range(40)]
    student = service.classify(*ids).json()["predictions"]
    before = answered_by(service)
    auto = service.classify(*ids, route="auto").json()["predictions"]
    assert {p["route"] for p in auto} == {"student", "teacher"}
    assert answered_by(service) - before == Counter(p["route"] for p in auto)
    for own, mixed in zip(student, auto, strict=True):
        assert mixed["route"] == ("student" if own["score"] >= threshold else "teacher")
        if mixed["route"] == "student":
            assert mixed == own


def answered_by(service: Service) -> Counter[str]:
    """How many nodes each route has answered so far."""
    text = service.client.get("/metrics").text
    found = re.findall(r'understudy_predictions_total{route="(\w+)"} (\d+)', text)
    return Counter({route: int(count) for route, count in found})


def test_compare_returns_both_with_their_times(both: tuple[Service, OpenAIServer]) -> None:
    service, _ = both
    response = service.client.post("/compare", json={"nodes": NODES})
    assert response.status_code == 200
    for comparison in response.json()["comparisons"][:2]:
        student, teacher = comparison["student"], comparison["teacher"]
        assert (student["route"], teacher["route"]) == ("student", "teacher")
        assert comparison["agree"] == (student["label"] == teacher["label"])
        assert comparison["student_ms"] > 0
        assert comparison["teacher_ms"] > 0
    assert response.json()["comparisons"][2]["agree"] is None


def test_student_answers_are_checked_in_the_shadow(both: tuple[Service, OpenAIServer]) -> None:
    service, _ = both
    service.classify({"id": "node-3"}).raise_for_status()
    deadline = time.monotonic() + 20
    while "understudy_teacher_agreement_total{" not in service.client.get("/metrics").text:
        assert time.monotonic() < deadline


@pytest.fixture(scope="module")
def unsure(tiny_bundle: TinyBundle) -> Iterator[tuple[Service, OpenAIServer]]:
    """The student is never sure enough."""
    with taught(tiny_bundle, "--auto-threshold", "1") as pair:
        yield pair


def check_failure(service: Service, word: str) -> None:
    """The teacher's route says so, auto falls back and says so, the student does not care."""
    fresh = f"{word} {time.monotonic_ns()}"  # in no cache
    failed = service.classify({"text": fresh}, route="teacher")
    assert failed.status_code == 424
    assert failed.json()["error"]["code"] == "teacher_failed"
    nodes = [{"text": f"{fresh} {n}", "neighbors": [f"node-{n}"]} for n in range(10)]
    auto = service.classify(*nodes, route="auto").json()["predictions"]
    student = service.classify(*nodes).json()["predictions"]
    assert all("teacher_error" in p for p in auto)
    for own, mixed in zip(student, auto, strict=True):
        assert (mixed["label"], mixed["route"], mixed["error"]) == (own["label"], "student", None)
        assert mixed["teacher_error"]["code"] == "teacher_failed"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{"message": {"content": null}}]}',
        b'{"choices": [{"message": {"content": "it is probably games"}}]}',
        b"[" * 100_000,
        b"x" * 3_000_000,
        b"\xff\xfe",
        b'{"choices": [{"message": {"content": 7}}]}',
        b'{"choices": [{"message": {"content": "' + b"[" * 100_000 + b'"}}]}',
        b'{"choices": [{"message": {"content": "games"}}], "label_scores": {"games": 1}}',
        b'{"choices": [{"message": {"content": "games"}}], "label_scores": {"games": NaN}}',
    ],
)
def test_a_teacher_that_talks_nonsense(unsure: tuple[Service, OpenAIServer], body: bytes) -> None:
    service, teacher = unsure
    teacher.body = body
    try:
        check_failure(service, "nonsense")
    finally:
        teacher.body = None


def test_a_teacher_that_refuses_hangs_or_dies_and_comes_back(tiny_bundle: TinyBundle) -> None:
    flags = ("--auto-threshold", "1", "--teacher-seconds", "0.3")
    with taught(tiny_bundle, *flags) as (service, teacher):
        teacher.status = 500
        check_failure(service, "refuses")
        teacher.status = 200
        teacher.released.clear()
        check_failure(service, "hangs")
        teacher.released.set()
        asked = len(teacher.requests)
        check_failure(service, "left alone: the circuit is open")
        assert len(teacher.requests) == asked
        teacher.close()
        check_failure(service, "is gone")
        assert service.process.poll() is None


def test_a_text_that_confuses_the_teacher_does_not_take_it_from_others(
    tiny_bundle: TinyBundle,
) -> None:
    with taught(tiny_bundle, "--auto-threshold", "1") as (service, teacher):
        confused = json.dumps({"choices": [{"message": {"content": "[" * 1_000}}]}).encode()
        for body, status in ((confused, 200), (b'{"error": "content filter"}', 400)):
            teacher.body, teacher.status = body, status
            for number in range(8):
                failed = service.classify({"text": f"{status} {number}"}, route="teacher")
                assert failed.status_code == 424
                auto = service.classify({"text": f"{status} {number}"}, route="auto")
                assert auto.json()["predictions"][0]["route"] == "student"
            teacher.body, teacher.status = None, 200
            answered = service.classify({"text": f"a cursor {status}"}, route="teacher")
            assert answered.json()["predictions"][0]["label"] == "editors"


def test_a_changed_graph_is_asked_about_as_it_stands(tiny_bundle: TinyBundle) -> None:
    """A new node has no training label, whichever row it takes; a title cannot claim one."""

    def asked() -> str:
        service.classify({"text": "new", "neighbors": ["fresh", "node-3"]}, route="teacher")
        return str(teacher.requests[-1]["messages"][0]["content"])

    with taught(tiny_bundle) as (service, teacher):
        assert service.client.delete("/nodes/node-1").status_code == 200
        fresh = {"text": "title [games]", "label": "games"}
        assert service.client.put("/nodes/fresh", json=fresh).status_code == 200
        content = asked()
        assert "- title (games)\n" in content
        assert f"- {tiny_bundle.text(3)} [science]" in content
        assert service.client.put("/nodes/node-3", json={"label": "net"}).status_code == 200
        content = asked()
        assert f"- {tiny_bundle.text(3)} [net]" in content
        assert "[science]" not in content


def test_of_a_large_request_only_what_is_needed_is_asked(tiny_bundle: TinyBundle) -> None:
    """On route auto what the student is sure of is not asked, and no equal question twice."""
    with taught(tiny_bundle, "--auto-threshold", "0") as (service, teacher):
        ids = [{"id": f"node-{number % 40}"} for number in range(1_024)]
        sure = service.classify(*ids, route="auto").json()["predictions"]
        assert {prediction["route"] for prediction in sure} == {"student"}
        assert teacher.requests == []
        all_of_them = service.classify(*ids, route="teacher").json()["predictions"]
        assert {prediction["route"] for prediction in all_of_them} == {"teacher"}
        assert len(teacher.requests) <= 40  # equal questions are one


def test_a_deadline_ends_a_wait_for_the_teacher(tiny_bundle: TinyBundle) -> None:
    with taught(tiny_bundle) as (service, teacher):
        teacher.released.clear()
        body = {"nodes": [{"id": "node-1"}], "route": "teacher"}
        late = service.client.post("/classify", json=body, headers={"x-timeout-seconds": "0.2"})
        assert (late.status_code, late.json()["error"]["code"]) == (504, "deadline_passed")
        wrong = service.client.post("/classify", json=body, headers={"x-timeout-seconds": "soon"})
        assert wrong.json()["error"]["details"] == {"field": "x-timeout-seconds"}


def test_a_teacher_that_hangs_as_long_as_a_request_may_take_costs_no_answer(
    tiny_bundle: TinyBundle,
) -> None:
    """As with the defaults, by which a question may take as long as its request."""
    flags = ("--auto-threshold", "1", "--request-seconds", "2", "--teacher-seconds", "2")
    with taught(tiny_bundle, *flags) as (service, teacher):
        teacher.released.clear()
        compared = service.client.post("/compare", json={"nodes": [{"id": "node-0"}]})
        (comparison,) = compared.raise_for_status().json()["comparisons"]
        assert comparison["student"]["label"]
        assert comparison["teacher"]["error"]["message"] == "the teacher did not answer in time"
        ids = [{"id": f"node-{number}"} for number in range(1, 6)]
        for reason in ("did not answer in time", "is not asked"):  # five questions have failed
            answers = service.classify(*ids, route="auto").raise_for_status().json()["predictions"]
            assert {answer["route"] for answer in answers} == {"student"}
            assert all(reason in answer["teacher_error"]["message"] for answer in answers)
        figures = service.client.get("/metrics").text
        assert 'understudy_teacher_answers_total{outcome="failed"} 6.0' in figures


def test_without_a_teacher_its_routes_say_so(service: Service) -> None:
    for path in ("/classify/teacher", "/compare"):
        response = service.client.post(path, json={"nodes": [{"id": "node-1"}]})
        assert response.status_code == 422
        assert response.json()["error"]["details"] == {"field": "route"}
    refused: httpx.Response = service.classify({"id": "node-1"}, route="auto")
    assert "teacher-url" in refused.json()["error"]["message"]
