"""`understudy teacher-serve`: real trained teachers behind `route: teacher` and `auto`."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.bundles import LABELS, TinyBundle
from tests.e2e.conftest import environment, serving
from tests.language_models import write_tiny_encoder, write_tiny_llama
from training.teacher.answers.folder import read_info, read_teacher
from training.teacher.answers.views import TUNED_FILE, weights_hash
from training.teacher.causal import CausalOptions
from training.teacher.encoder import EncoderOptions
from training.teacher.endpoint import EndpointOptions
from training.teacher.options import TeachOptions
from training.teacher.teach import teach
from training.teacher.tuning import TuningOptions
from understudy.graph import TextGraph, save_graph
from understudy.graph.prompts import PromptOptions

TOKENS = 60
HOPS = 1


def options(model: str) -> TeachOptions:
    return TeachOptions(
        model,
        hops=(HOPS,),
        prompts=PromptOptions(tokens=TOKENS),
        tuning=TuningOptions(epochs=1, batch_size=8, validation_nodes=4),
        causal=CausalOptions(rank=2),
        encoder=EncoderOptions(max_tokens=TOKENS),
    )


@contextmanager
def teacher_serving(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "understudy", "teacher-serve", str(folder), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        yield found.group()
    finally:
        process.terminate()
        process.communicate(timeout=20)


def with_validation(graph: TextGraph) -> TextGraph:
    """The same with some of test for validation: prompts show the same training labels."""
    test = graph.splits["test"]
    return replace(graph, splits={**graph.splits, "val": test[:5], "test": test[5:]})


@pytest.mark.parametrize("kind", ["encoder", "causal"])
def test_a_trained_teacher_answers_as_it_did_in_training(
    tiny_bundle: TinyBundle, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = tmp_path / "graph"
    source = with_validation(tiny_bundle.graph)
    save_graph(source, graph)
    write = write_tiny_encoder if kind == "encoder" else write_tiny_llama
    model = str(write(tmp_path / "model", list(LABELS)))
    teach(graph, tmp_path / "teacher", options(f"encoder:{model}" if kind == "encoder" else model))
    _, answers = read_teacher(tmp_path / "teacher", source)
    expected = np.exp(answers.log_probabilities[0].astype(np.float64))
    with teacher_serving(tmp_path / "teacher") as url:
        flags = ("--teacher-url", url, "--teacher-hops", str(HOPS), "--teacher-tokens", str(TOKENS))
        with serving(tiny_bundle.folder, *flags, "--auto-threshold", "1") as service:
            ids = [{"id": f"node-{node}"} for node in range(12)]
            for route in ("teacher", "auto"):
                predictions = service.classify(*ids, route=route, top_k=4).json()["predictions"]
                for node, prediction in enumerate(predictions):
                    assert prediction["route"] == "teacher", prediction
                    scores = {entry["label"]: entry["score"] for entry in prediction["top"]}
                    assert [scores[name] for name in LABELS] == pytest.approx(
                        expected[node].tolist(), abs=2e-3
                    )
        models = httpx.get(f"{url}/models").json()["data"]
        known = read_info(tmp_path / "teacher")
        assert models[0]["understudy"] == {
            "model_hash": known.model_hash,
            "weights": weights_hash(tmp_path / "teacher" / TUNED_FILE),
            "prompt_hash": known.prompt_hash,
        }
        assert models[0]["understudy"]["weights"]
        # Taught by it as an endpoint, the same questions have the same answers.
        monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
        endpoint = EndpointOptions(url, "teacher", concurrency=2)
        asked = replace(options("openai:"), endpoint=endpoint)
        info = teach(graph, tmp_path / "taught", asked)
        _, taught = read_teacher(tmp_path / "taught", source)
        np.testing.assert_allclose(np.exp(taught.log_probabilities[0]), expected, atol=2e-3)
        assert info.metrics["unreadable"] == 0
        streaming = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
        assert httpx.post(f"{url}/chat/completions", json=streaming).status_code == 422
