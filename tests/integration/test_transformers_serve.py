"""`transformers serve`, a real process, as a teacher of `teach` and of the service."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from service.errors import TeacherError
from service.teacher.client import endpoint_teacher
from tests.language_models import write_tiny_llama
from training.teacher.answers.folder import read_teacher
from training.teacher.endpoint import EndpointOptions
from training.teacher.options import TeachOptions
from training.teacher.teach import teach
from understudy.endpoint.distribution import CERTAINTY
from understudy.endpoint.options import ClientOptions
from understudy.graph import TextGraph, save_graph
from understudy.graph.prompts import Prompt, PromptOptions
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def write_bigram(folder: Path, answer: str, words: list[str]) -> Path:
    """A Llama that answers every prompt of ours alike: each token decides the next one.

    Its layers add nothing, its embeddings are one-hot, and its output is the table of what follows.
    """
    write_tiny_llama(folder, [answer, *words])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    last = tokenizer.encode(Prompt("", "").tail, add_special_tokens=False)[-1]
    chain = [last, *tokenizer.encode(answer, add_special_tokens=False), tokenizer.eos_token_id]
    assert len(set(chain)) == len(chain), "a token of the answer comes twice: word it otherwise"
    size = 16 * (len(tokenizer) // 16 + 1)  # eight heads of an even size
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=size,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=8,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" not in name:
                weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        for token, following in pairwise(chain):
            model.lm_head.weight[following, token] = 1.0
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def graph() -> TextGraph:
    return synthetic_graph(SyntheticOptions(nodes=24, classes=3, seed=1))


@pytest.fixture(scope="module")
def served(graph: TextGraph, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """URL and model of a server whose model says which category it is, in a sentence."""
    folder = tmp_path_factory.mktemp("bigram")
    answer = f"I say {graph.label_names[1]}"
    write_bigram(folder, answer, list(graph.label_names))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("transformers")
    command = [str(program), "serve", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    offline = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        [*command, "--device", "cpu"], env=os.environ | offline, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "Uvicorn running" in line:
                break
        else:
            raise AssertionError("".join(lines))
        assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
        yield f"http://127.0.0.1:{port}/v1", str(folder)
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_it_teaches(
    graph: TextGraph,
    served: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    save_graph(graph, tmp_path / "graph")
    options = TeachOptions(
        "openai:",
        hops=(1,),
        prompts=PromptOptions(tokens=40),
        endpoint=EndpointOptions(*served, concurrency=2),
    )
    info = teach(tmp_path / "graph", tmp_path / "teacher", options)
    _, answers = read_teacher(tmp_path / "teacher", graph)
    # It tells no probabilities, so the label that it names is nearly certain.
    np.testing.assert_allclose(np.exp(answers.log_probabilities[0, :, 1]), CERTAINTY, atol=1e-4)
    assert info.metrics["unreadable"] == 0
    assert info.metrics["requests"] == info.metrics["questions"]
    assert info.metrics["input_tokens"] > 24 * 20
    # It takes a JSON schema and does nothing about it, which is told.
    assert [line for line in caplog.messages if line.endswith("json_schema but ignores it")]


def test_the_service_takes_labels_and_no_sentences(
    graph: TextGraph, served: tuple[str, str]
) -> None:
    async def ask() -> None:
        teacher = endpoint_teacher(ClientOptions(*served, timeout_seconds=120, exact=True))
        try:
            prompt = Prompt("Categories", "a text")
            assert (
                await teacher.ask(prompt, [f"I say {graph.label_names[1]}", "net"])
            ).scores is None
            with pytest.raises(TeacherError, match="none of the labels"):
                await teacher.ask(prompt, graph.label_names)
        finally:
            await teacher.close()

    asyncio.run(ask())
