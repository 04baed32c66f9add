"""Teachers behind an endpoint: asked over real HTTP, charged, refused, failing and resumed."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI, Request, Response

from tests.http_servers import serve
from tests.openai_server import openai_server
from training.errors import EndpointError
from training.teacher.answers.folder import read_teacher
from training.teacher.asking import STAGE
from training.teacher.endpoint import EndpointOptions
from training.teacher.options import Budget, TeachOptions
from training.teacher.teach import teach
from understudy.graph import load_graph, save_graph
from understudy.graph.prompts import PromptOptions
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph


@pytest.fixture(scope="module")
def graph_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs") / "small"
    save_graph(synthetic_graph(SyntheticOptions(nodes=60, classes=3, mean_degree=4.0)), folder)
    return folder


Answer = Callable[[int, dict[str, Any]], Response | dict[str, Any]]


@pytest.fixture
def endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Answer], tuple[str, list[dict[str, Any]]]]]:
    """Starts a real server whose n-th answer is `answer(n, body)`; gives its URL and requests."""
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    stops: list[Callable[[], None]] = []

    def start(answer: Answer) -> tuple[str, list[dict[str, Any]]]:
        app, requests = FastAPI(), list[dict[str, Any]]()

        @app.post("/v1/chat/completions")
        async def complete(request: Request) -> Any:
            requests.append(await request.json())
            return answer(len(requests), requests[-1])

        url, stop = serve(app)
        stops.append(stop)
        return f"{url}/v1", requests

    yield start
    for stop in stops:
        stop()


def completion(text: str, top: dict[str, float] | None = None) -> dict[str, Any]:
    choice: dict[str, Any] = {"message": {"content": text}}
    if top:
        alternatives = [{"token": t, "logprob": float(np.log(p))} for t, p in top.items()]
        choice["logprobs"] = {
            "content": [{"token": alternatives[0]["token"], "top_logprobs": alternatives}]
        }
    return {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 2}}


def asking(url: str, **changes: Any) -> TeachOptions:
    values = {"concurrency": 4, "backoff": 0.001, "attempts": 4, **changes}
    return TeachOptions(
        "openai:",
        hops=(1,),
        prompts=PromptOptions(tokens=30),
        endpoint=EndpointOptions(url, "a-model", **values),
    )


def test_an_endpoint_gives_probabilities_and_a_bill(
    graph_folder: Path, tmp_path: Path, endpoint: Any
) -> None:
    graph = load_graph(graph_folder)
    first, second = graph.label_names[:2]
    url, requests = endpoint(lambda n, body: completion(first, {first: 0.7, second: 0.2}))
    info = teach(graph_folder, tmp_path / "t", asking(url, input_price=2.0, output_price=10.0))
    _, answers = read_teacher(tmp_path / "t", graph)
    assert answers.features is None
    assert answers.log_probabilities.shape == (1, 60, 3)
    np.testing.assert_allclose(np.exp(answers.log_probabilities).sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(np.exp(answers.log_probabilities[0, 0, 0]), 0.7 / 0.9, atol=1e-3)
    assert requests[0]["model"] == "a-model"
    assert info.metrics["requests"] == len(requests)
    assert info.metrics["cost"] == pytest.approx(len(requests) * (100 * 2 + 2 * 10) / 1e6)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_named_label_is_the_answer_where_another_was_likelier(
    classes: int, tmp_path: Path, endpoint: Any
) -> None:
    options = SyntheticOptions(nodes=60, classes=classes, mean_degree=4.0)
    save_graph(synthetic_graph(options), tmp_path / "g")
    first, last = (load_graph(tmp_path / "g").label_names[n] for n in (0, -1))
    # The server was held to the labels as they are written: it would have begun with another.
    url, _ = endpoint(lambda n, body: completion(last, {last: 0.1, f" {first}": 0.7}))
    teach(tmp_path / "g", tmp_path / "t", asking(url))
    _, answers = read_teacher(tmp_path / "t", load_graph(tmp_path / "g"))
    assert (answers.log_probabilities.argmax(-1) == classes - 1).all()
    np.testing.assert_allclose(np.exp(answers.log_probabilities[0, :, 0]), 0.5, atol=1e-3)


def test_what_few_calls_bought_is_spread_over_the_edges(
    graph_folder: Path, tmp_path: Path, endpoint: Any
) -> None:
    name = load_graph(graph_folder).label_names[0]
    url, requests = endpoint(lambda n, body: completion(name, {name: 0.9}))
    info = teach(graph_folder, tmp_path / "t", replace(asking(url), budget=Budget(nodes=20)))
    _, answers = read_teacher(tmp_path / "t", load_graph(graph_folder))
    assert len(requests) <= len(answers.nodes) == 20
    assert answers.smoothed is not None
    assert len(answers.smoothed.nodes) > 40
    assert {"val_accuracy_smoothed", "test_accuracy_reached"} <= info.metrics.keys()


def test_an_overloaded_endpoint_is_asked_again(
    graph_folder: Path, tmp_path: Path, endpoint: Any
) -> None:
    label = load_graph(graph_folder).label_names[0]

    refused = Counter[str]()  # how often, by question: many are asked at once, in any order

    def answer(number: int, body: dict[str, Any]) -> Response | dict[str, Any]:
        question = json.dumps(body["messages"])
        if refused[question] == 3 or (number % 3 and number % 7):
            return completion(label)
        refused[question] += 1
        if number % 3 == 0:
            return Response("slow down", status_code=429, headers={"retry-after": "0.01"})
        return Response("oh no", status_code=503)

    url, requests = endpoint(answer)
    info = teach(graph_folder, tmp_path / "t", asking(url, attempts=4))
    assert info.metrics["retries"] == len(requests) - info.metrics["requests"] > 0


def test_an_endpoint_that_stays_overloaded_is_told_with_its_own_words(
    graph_folder: Path, tmp_path: Path, endpoint: Any
) -> None:
    body = json.dumps({"error": {"message": "no quota: pay the bill"}})
    url, _ = endpoint(lambda n, _: Response(body, status_code=429, headers={"retry-after": "0"}))
    with pytest.raises(EndpointError, match=r"2 times, the last time: status 429: no quota: pay "):
        teach(graph_folder, tmp_path / "t", asking(url, attempts=2))


def test_a_failing_endpoint_loses_nothing_that_was_answered(
    graph_folder: Path, tmp_path: Path, endpoint: Any
) -> None:
    label = load_graph(graph_folder).label_names[0]

    def answer(number: int, body: dict[str, Any]) -> Response | dict[str, Any]:
        return completion(label) if number <= 25 else Response("down", status_code=500)

    url, _ = endpoint(answer)
    with pytest.raises(EndpointError, match="run the same command again"):
        teach(graph_folder, tmp_path / "t", asking(url))
    url, requests = endpoint(lambda n, body: completion(label))
    info = teach(graph_folder, tmp_path / "t", asking(url))
    assert info.metrics["requests"] == len(requests)
    distinct = {json.dumps(request["messages"]) for request in requests}
    assert len(distinct) == len(requests) <= 60 - 25
    assert not list(tmp_path.glob(".t.*"))


def test_what_is_on_its_way_when_a_signal_ends_the_run_is_kept(
    graph_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    label = load_graph(graph_folder).label_names[0]
    others, ended = Semaphore(0), Event()

    def reply(request: dict[str, Any]) -> str:
        if request["messages"] != server.requests[0]["messages"]:
            others.release()
            assert ended.wait(30)
        else:
            assert all(others.acquire(timeout=30) for _ in range(3))
        return label

    def interrupt(stage: str, done: int, total: int | None) -> None:
        if stage == STAGE and done:
            ended.set()
            raise KeyboardInterrupt

    with openai_server(reply) as server:
        options = asking(server.url, constraint="none", thinking="none")
        with pytest.raises(KeyboardInterrupt):
            teach(graph_folder, tmp_path / "t", options, interrupt)
        assert len(server.requests) == 4
        teach(graph_folder, tmp_path / "t", options)
        questions = [json.dumps(request["messages"]) for request in server.requests]
        assert len(questions) == len(set(questions))


def test_answers_that_another_address_gave_are_told_of(
    graph_folder: Path, tmp_path: Path, endpoint: Any, caplog: pytest.LogCaptureFixture
) -> None:
    label, other_label = load_graph(graph_folder).label_names[:2]
    url, requests = endpoint(lambda n, body: completion(label, {label: 0.9}))
    secret = url.replace("http://", "http://somebody:secret@")
    teach(graph_folder, tmp_path / "t", asking(secret))
    asked = len(requests)
    caplog.clear()
    teach(graph_folder, tmp_path / "t", asking(url))  # the same place, and nothing to tell
    assert (len(requests), "are reused instead" in caplog.text) == (asked, False)
    other, later = endpoint(lambda n, body: completion(other_label, {other_label: 0.9}))
    for folder in ("t", "new"):  # also where the folder is the same command's result already
        caplog.clear()
        teach(graph_folder, tmp_path / folder, asking(other))
        assert f"{asked} answers in {url} are reused instead of asking {other}" in caplog.text
    assert later == []
    path = caplog.text.partition("remove ")[2].partition(" to ask again")[0]
    assert "secret" not in str(Path(path).read_bytes())
    assert url.encode() not in (tmp_path / "new" / "teacher.json").read_bytes()
    Path(path).unlink()
    teach(graph_folder, tmp_path / "newer", asking(other))
    assert len(later) == asked


def test_one_more_node_costs_the_changed_questions_alone(
    graph_folder: Path, tmp_path: Path, endpoint: Any
) -> None:
    graph = load_graph(graph_folder)
    label = graph.label_names[0]
    url, requests = endpoint(lambda n, body: completion(label, {label: 0.9}))
    prompts = PromptOptions(tokens=200)  # room for neighbours and their labels
    first = teach(graph_folder, tmp_path / "t", replace(asking(url), prompts=prompts))
    asked = len(requests)
    # Another folder, and another address: nothing is asked again, and nothing is charged.
    other, later = endpoint(lambda n, body: completion(label, {label: 0.9}))
    again = teach(graph_folder, tmp_path / "again", replace(asking(other), prompts=prompts))
    assert (later, again.metrics["requests"], again.metrics["cost"]) == ([], 0, 0)
    folders = ("t", "again")
    original, same = (read_teacher(tmp_path / name, graph)[1].log_probabilities for name in folders)
    np.testing.assert_array_equal(original, same)
    assert first.metrics["questions"] == asked
    # One label more: the questions that show it are new.
    node = int(graph.splits["val"][0])
    splits = {
        "train": np.sort(np.append(graph.splits["train"], node)),
        "val": graph.splits["val"][1:],
        "test": graph.splits["test"],
    }
    save_graph(replace(graph, splits=splits), tmp_path / "more")
    teach(tmp_path / "more", tmp_path / "t2", replace(asking(url), prompts=prompts))
    assert 0 < len(requests) - asked <= len(graph.adjacency.neighbors(node))
    # Another model is another teacher.
    options = replace(asking(url), prompts=prompts)
    assert options.endpoint is not None
    renamed = replace(options, endpoint=replace(options.endpoint, model="b-model"))
    teach(graph_folder, tmp_path / "t3", renamed)
    assert len([request for request in requests if request["model"] == "b-model"]) == asked


def test_a_question_that_is_refused_for_itself_stops_no_other(
    graph_folder: Path, tmp_path: Path, endpoint: Any, caplog: pytest.LogCaptureFixture
) -> None:
    label = load_graph(graph_folder).label_names[0]

    def answer(number: int, body: dict[str, Any]) -> Response | dict[str, Any]:
        return completion(label) if number % 10 else Response("too long", status_code=413)

    url, _ = endpoint(answer)
    info = teach(graph_folder, tmp_path / "t", asking(url, concurrency=1))
    assert info.metrics["unreadable"] == info.metrics["questions"] // 10 > 0
    warnings = [line for line in caplog.messages if "was not answered" in line]
    assert len(warnings) == 1
    assert "status 413: too long" in warnings[0]
    # It is asked again by the next run, since nothing is known about it.
    url, requests = endpoint(lambda n, body: completion(label))
    teach(graph_folder, tmp_path / "t2", asking(url))
    assert len(requests) == info.metrics["unreadable"]


def test_the_cost_is_told_before_and_by_the_first_answers(
    graph_folder: Path, tmp_path: Path, endpoint: Any, caplog: pytest.LogCaptureFixture
) -> None:
    label = load_graph(graph_folder).label_names[0]
    url, requests = endpoint(lambda n, body: completion(label))
    teach(graph_folder, tmp_path / "t", asking(url, input_price=1_000.0, output_price=500.0))
    before, first = (line for line in caplog.messages if "tokens of prompts" in line)
    count = len(requests)
    assert f"{count} questions" in before
    assert "at the given prices" in before
    assert f"all {count} will cost {count * 100:,} tokens of prompts" in first
    assert f"(cost {count * (100 * 1_000 + 2 * 500) / 1e6:.4g} at the given prices)" in first


def test_a_cache_that_cannot_be_written_is_told_before_anything_is_asked(
    graph_folder: Path, tmp_path: Path, endpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, requests = endpoint(lambda n, body: completion("net"))
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "file"))
    with pytest.raises(EndpointError, match=r"answers cannot be stored in .*set UNDERSTUDY_CACHE"):
        teach(graph_folder, tmp_path / "t", asking(url))
    assert not requests


def test_a_refusal_is_told_at_once(graph_folder: Path, tmp_path: Path, endpoint: Any) -> None:
    url, requests = endpoint(lambda n, body: Response("no such key", status_code=401))
    with pytest.raises(EndpointError, match="status 401: no such key"):
        teach(graph_folder, tmp_path / "t", asking(url, concurrency=1))
    assert len(requests) == 1


def test_nonsense_is_asked_for_twice_and_then_stops_the_run(
    graph_folder: Path, tmp_path: Path, endpoint: Any
) -> None:
    url, requests = endpoint(lambda n, body: completion("As a model, I would rather not say."))
    with pytest.raises(EndpointError, match="none of the labels"):
        teach(graph_folder, tmp_path / "t", asking(url, concurrency=1))
    assert len(requests) < 60


def test_what_is_no_completion_is_told(graph_folder: Path, tmp_path: Path, endpoint: Any) -> None:
    url, _ = endpoint(lambda n, body: {"weather": "fair"})
    with pytest.raises(EndpointError, match="does not answer like an OpenAI endpoint"):
        teach(graph_folder, tmp_path / "t", asking(url))
