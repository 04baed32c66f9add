"""Teachers end to end: tuned, asked, killed on the way, and answering over real HTTP."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi import FastAPI, Request, Response
from safetensors.numpy import load_file

from tests.http_servers import serve
from tests.language_models import write_tiny_encoder, write_tiny_llama
from training.errors import EndpointError, StaleTeacherError
from training.teacher.answers.folder import read_teacher
from training.teacher.causal import CausalOptions
from training.teacher.encoder import EncoderOptions, EncoderTeacher
from training.teacher.endpoint import EndpointOptions
from training.teacher.local import load_local
from training.teacher.options import Budget, TeachOptions
from training.teacher.teach import teach, tune_local
from training.teacher.tuning import TuningOptions
from understudy.folders import OutputRefusedError
from understudy.graph import load_graph, random_split, save_graph
from understudy.graph.prompts import PromptOptions
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph
from understudy.graph.splits import labeled_nodes

RUN = """
import os, signal, sys
from pathlib import Path
import torch
from tests.integration.test_training_teachers import small
from training.teacher.teach import teach

torch.set_num_threads(1)
graph, out, model, stage, when = sys.argv[1:]
calls = 0

def progress(name, done, total):
    global calls
    calls += name == stage
    if calls == int(when):
        os.kill(os.getpid(), signal.SIGKILL)

teach(Path(graph), Path(out), small(model), progress)
"""


def small(model: str) -> TeachOptions:
    """Settings with several checkpoints and several parts on a graph of 60 nodes."""
    return TeachOptions(
        model,
        hops=(0, 1),
        prompts=PromptOptions(tokens=30),
        tuning=TuningOptions(epochs=2, batch_size=8, checkpoint_steps=2, validation_nodes=10),
        causal=CausalOptions(rank=4),
        encoder=EncoderOptions(max_tokens=30),
        tokens_per_batch=2_000,
        part_prompts=16,
    )


@pytest.fixture(scope="module")
def graph_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs") / "small"
    save_graph(synthetic_graph(SyntheticOptions(nodes=60, classes=3, mean_degree=4.0)), folder)
    return folder


@pytest.fixture(scope="module")
def models(graph_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    words = load_graph(graph_folder).texts.to_pylist()
    return {
        "causal": str(write_tiny_llama(folder / "llama", words)),
        "encoder": f"encoder:{write_tiny_encoder(folder / 'bert', words)}",
    }


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As the processes that are killed have: more would add in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def kill_in(graph: Path, out: Path, model: str, stage: str, report: int) -> None:
    """Teaches in a process of its own that is killed at the stage's n-th report."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(graph), str(out), model, stage, str(report)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not out.exists()


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_a_killed_teacher_ends_where_it_would_have(
    kind: str, graph_folder: Path, models: dict[str, str], tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole" / "teacher", tmp_path / "broken" / "teacher"
    teach(graph_folder, whole, small(models[kind]))
    kill_in(graph_folder, broken, models[kind], "Tuning the teacher", 3)
    kill_in(graph_folder, broken, models[kind], "Asking the teacher", 9)  # in the third part
    teach(graph_folder, broken, small(models[kind]))
    for name in ("answers.safetensors", "tuned.safetensors"):
        expected, found = load_file(whole / name), load_file(broken / name)
        assert expected.keys() == found.keys()
        for key, values in expected.items():
            # A last bit may differ all the same, and so round half precision to its neighbour.
            rtol = 1e-3 if values.dtype == np.float16 else 1e-4
            np.testing.assert_allclose(found[key], values, rtol=rtol, atol=1e-5, err_msg=key)
    assert [path.name for path in broken.parent.iterdir()] == ["teacher"]
    assert (broken / "adapter" / "adapter_config.json").is_file() == (kind == "causal")


def test_the_same_call_again_does_nothing_and_another_graph_is_refused(
    graph_folder: Path, models: dict[str, str], tmp_path: Path
) -> None:
    stages: list[str] = []
    info = teach(graph_folder, tmp_path / "t", small(models["encoder"]))
    again = teach(
        graph_folder, tmp_path / "t", small(models["encoder"]), lambda *call: stages.append(call[0])
    )
    assert set(stages) == {"Loading the teacher"}
    graph = load_graph(graph_folder)
    tuned = read_teacher(tmp_path / "t", graph)[1].tuned
    np.testing.assert_array_equal(tuned, labeled_nodes(graph, "train"))
    assert again.settings["fingerprint"] == info.settings["fingerprint"]
    other = synthetic_graph(SyntheticOptions(nodes=60, classes=3, seed=9))
    with pytest.raises(StaleTeacherError, match="run `understudy teach`"):
        read_teacher(tmp_path / "t", other)


def test_a_frozen_encoder_is_asked_once_for_all_splits(
    graph_folder: Path, models: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    options = small(models["encoder"])
    frozen = replace(
        options,
        prompts=replace(options.prompts, show_labels=False),
        encoder=replace(options.encoder, frozen=True),
    )
    graph = load_graph(graph_folder)
    for seed in (0, 1):
        split = replace(graph, splits=random_split(graph.labels, (0.6, 0.2, 0.2), seed))
        save_graph(split, tmp_path / f"graph{seed}")
    teach(tmp_path / "graph0", tmp_path / "first", frozen)
    (folder,) = (tmp_path / "cache" / "prompts").iterdir()
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    teach(tmp_path / "graph1", tmp_path / "second", frozen)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    first, second = (load_file(tmp_path / n / "answers.safetensors") for n in ("first", "second"))
    np.testing.assert_array_equal(first["features"], second["features"])
    assert not np.array_equal(first["log_probabilities"], second["log_probabilities"])
    assert not first["tuned"].size


def test_another_folder_is_not_replaced(graph_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear all")
    with pytest.raises(OutputRefusedError, match="holds what no command of understudy wrote"):
        teach(graph_folder, tmp_path, TeachOptions("./nowhere"))
    assert (tmp_path / "letters.txt").read_text() == "dear all"


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
        told = [{"token": t, "logprob": float(np.log(p))} for t, p in top.items()]
        choice["logprobs"] = {"content": [{"token": told[0]["token"], "top_logprobs": told}]}
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

    def answer(number: int, body: dict[str, Any]) -> Response | dict[str, Any]:
        if number % 3 == 0:
            return Response("slow down", status_code=429, headers={"retry-after": "0.01"})
        return Response("oh no", status_code=503) if number % 7 == 0 else completion(label)

    url, requests = endpoint(answer)
    info = teach(graph_folder, tmp_path / "t", asking(url, attempts=8))
    assert info.metrics["retries"] == len(requests) - info.metrics["requests"] > 0


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
    told, same = (read_teacher(tmp_path / name, graph)[1].log_probabilities for name in folders)
    np.testing.assert_array_equal(told, same)
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
    told = [line for line in caplog.messages if "stays unanswered" in line]
    assert len(told) == 1
    assert "status 413: too long" in told[0]
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
    assert f"asked {count} questions" in before
    assert "at the prices given" in before
    assert f"all {count} will cost {count * 100:,} tokens of prompts" in first
    assert f"({count * (100 * 1_000 + 2 * 500) / 1e6:.4g} at the prices given)" in first


def test_a_cache_that_cannot_be_written_is_told_before_anything_is_asked(
    graph_folder: Path, tmp_path: Path, endpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, requests = endpoint(lambda n, body: completion("net"))
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "file"))
    with pytest.raises(EndpointError, match=r"answers cannot be kept in .*set UNDERSTUDY_CACHE"):
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


def test_a_budget_limits_a_teacher_that_runs_here_too(
    graph_folder: Path, models: dict[str, str], tmp_path: Path
) -> None:
    """A frozen encoder's head is fitted to what the budget allows: a fifth of it is training."""
    options = small(models["encoder"])
    frozen = replace(options.encoder, frozen=True)
    budget = Budget(calls=40, choice="uncertain")
    info = teach(graph_folder, tmp_path / "t", replace(options, encoder=frozen, budget=budget))
    graph = load_graph(graph_folder)
    _, answers = read_teacher(tmp_path / "t", graph)
    assert 20 <= len(answers.nodes) < 60
    assert (np.diff(answers.nodes) > 0).all()
    assert {"train_accuracy_hop0", "val_accuracy_hop0"} <= info.metrics.keys()
    assert info.settings["budget"]["calls"] == 40


def test_tuning_starts_from_a_fitted_head_and_never_ends_below_it(
    graph_folder: Path, models: dict[str, str], tmp_path: Path
) -> None:
    options = small(models["encoder"])
    options = replace(options, tuning=replace(options.tuning, learning_rate=0.5))
    graph = load_graph(graph_folder)
    teacher, begun = load_local(graph, options), load_local(graph, options)
    assert isinstance(teacher, EncoderTeacher)
    assert isinstance(begun, EncoderTeacher)
    tuning = tune_local(teacher, graph, options, tmp_path, lambda *_: None)
    assert tuning.start is not None
    assert tuning.start > 0.5  # three classes; a head that is not fitted guesses
    assert max(tuning.accuracies) < tuning.start
    for name, weights in begun.module.transformer.state_dict().items():
        assert torch.equal(teacher.module.transformer.state_dict()[name], weights), name
    assert not torch.equal(teacher.module.head.weight, begun.module.head.weight)
