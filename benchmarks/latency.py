"""`understudy bench latency`: milliseconds of one node a call, students against teachers.

    python -m benchmarks.latency BUNDLE... [--no-gemma] [--no-large]

A student answers nodes of its bundle: stored ones, and unseen ones with a short and with a long
text. The embedded teacher is MiniLM with a fresh head, Gemma is untuned: their answers are
worthless, their time is that of tuned ones. The 1.1B model has Llama's shape and random weights,
which take as long as trained ones: latency only. Every teacher is asked about the same nodes, their
neighbourhood of two hops in the prompt, as `understudy teach` asks it.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import typer

from benchmarks.common.command import check_bundle, run_script
from benchmarks.common.graphs import described
from benchmarks.common.results import markdown_table, publish_results
from benchmarks.errors import BenchmarkError
from benchmarks.serving.nodes import MOST_NEIGHBORS, STRIDE, json_node, node_makers
from benchmarks.serving.servers import client_core, service
from training.teacher.defaults import DEFAULTS
from understudy.engine.engine import Engine
from understudy.graph.prompts import Prompt, Prompter, PromptOptions, StoredTexts, training_labels
from understudy.graph.snapshot import load_snapshot
from understudy.graph.text_graph import TextGraph
from understudy.progress import step, terminal_progress

HOPS = 2
WARMUP = 3
Key = tuple[str, str]  # who answers, and about which kind of node
TINY_LLAMA = {  # the published shape of TinyLlama-1.1B
    "vocab_size": 32_000,
    "hidden_size": 2_048,
    "intermediate_size": 5_632,
    "num_hidden_layers": 22,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "max_position_embeddings": 2_048,
}


@dataclass(frozen=True, slots=True)
class Latency:
    """Times of one way to classify one node at a time, in milliseconds, and its rate."""

    p50: float
    p95: float
    p99: float
    per_second: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Settings:
    graph: str  # of the bundles, in words
    teacher_threads: int
    hops: int  # in a teacher's prompt


@dataclass(frozen=True, slots=True)
class Latencies:
    """The content of results/latency.json."""

    settings: Settings
    latency: dict[str, Latency]  # by "who answers, which kind of node"
    ratios: dict[str, float]  # of p50, by "teacher / student, kind of node"


def measure(work: Callable[[int], object], rounds: int, seconds: float) -> Latency:
    """Times calls one after the other, each with its number, until rounds or seconds are over."""
    for number in range(WARMUP):
        work(number)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < rounds and (len(times) < 5 or time.perf_counter() < end):
        started = time.perf_counter()
        work(WARMUP + len(times))
        times.append(1_000 * (time.perf_counter() - started))
    p50, p95, p99 = np.percentile(times, [50, 95, 99]).round(4).tolist()
    return Latency(p50, p95, p99, round(1_000 / statistics.fmean(times), 2), len(times))


def measure_student(bundle: Path, rounds: int, seconds: float) -> dict[Key, Latency]:
    """Measures a student in one thread, in process and over HTTP."""
    results: dict[Key, Latency] = {}
    makers = node_makers(load_snapshot(bundle / "graph"))
    with Engine.open(bundle, threads=1) as engine:
        name = f"student ({engine.manifest.encoder.name})"
        for kind, node_of in makers.items():
            nodes = [node_of(number) for number in range(rounds + WARMUP)]
            results[f"{name}, in process", kind] = measure(
                lambda n, nodes=nodes: engine.classify([nodes[n]]),  # type: ignore[misc]
                rounds,
                seconds,
            )
    with (
        service(bundle) as own,
        client_core(),
        httpx.Client(base_url=own.url, timeout=30) as client,
    ):
        client.get("/health/ready").raise_for_status()
        for kind, node_of in makers.items():
            bodies = [json_node(node_of(number)) for number in range(rounds + WARMUP)]
            results[f"{name}, over HTTP", kind] = measure(
                lambda n, bodies=bodies: ask(client, bodies[n]),  # type: ignore[misc]
                rounds,
                seconds,
            )
    return results


def ask(client: httpx.Client, node: dict[str, Any]) -> None:
    client.post("/classify", json={"nodes": [node]}).raise_for_status()


def prompts_of(graph: TextGraph, kind: str, options: PromptOptions, count: int) -> list[Prompt]:
    """The questions about the nodes that `node_makers` makes of a kind."""
    prompter = Prompter(StoredTexts(graph), graph.label_names, training_labels(graph), options)
    rows = [number * STRIDE % graph.num_nodes for number in range(count)]
    if kind == "stored":
        return [prompter.stored(row, HOPS) for row in rows]
    node_of = node_makers(graph)[kind]
    prompts = []
    for number, row in enumerate(rows):
        text = node_of(number).text
        assert text is not None
        near = graph.adjacency.neighbors(row)[:MOST_NEIGHBORS].tolist()
        prompts.append(prompter.unseen(text, near, HOPS))
    return prompts


def embedded_teacher(graph: TextGraph) -> Callable[[Prompt], object]:
    from training.teacher.encoder import EncoderOptions, load_encoder_teacher

    teacher = load_encoder_teacher(None, graph.num_classes, EncoderOptions())
    return lambda prompt: teacher.answer([prompt])


def gemma(graph: TextGraph) -> Callable[[Prompt], object]:
    """Makes a call of Gemma that scores every label of one prompt."""
    from training.teacher.causal import CausalOptions, load_causal_teacher

    teacher = load_causal_teacher("gemma", graph.label_names, CausalOptions(), tuned=False)
    return lambda prompt: teacher.answer([prompt])


def llama_shaped(graph: TextGraph) -> Callable[[Prompt], object]:
    """One forward pass over a prompt of as many tokens as its words would have.

    The label's own tokens would come on top, so this flatters the model.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(**TINY_LLAMA)
    torch.set_default_dtype(torch.bfloat16)
    try:
        model: torch.nn.Module = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(torch.float32)
    model.train(False)
    generator = torch.Generator().manual_seed(0)

    def answer(prompt: Prompt) -> object:
        tokens = max(len(prompt.text) // 4, 1)
        ids = torch.randint(0, TINY_LLAMA["vocab_size"], (1, tokens), generator=generator)
        with torch.inference_mode():
            return model(input_ids=ids, logits_to_keep=1).logits

    return answer


def measure_teachers(
    graph: TextGraph,
    loaders: Mapping[str, Callable[[TextGraph], Callable[[Prompt], object]]],
    rounds: int,
    seconds: float,
    threads: int,
) -> dict[Key, Latency]:
    import torch

    from training.terminal import quiet_libraries

    quiet_libraries()
    torch.set_num_threads(threads)
    results: dict[Key, Latency] = {}
    for name, load in loaders.items():
        answer = load(graph)
        suited = DEFAULTS["encoder" if load is embedded_teacher else "causal"]
        options = PromptOptions(tokens=suited.tokens, nested=suited.nested)
        for kind in node_makers(graph):
            prompts = prompts_of(graph, kind, options, rounds + WARMUP)
            results[name, kind] = measure(
                lambda n, answer=answer, prompts=prompts: answer(prompts[n]),  # type: ignore[misc]
                rounds,
                seconds,
            )
    return results


def report(
    students: Mapping[Key, Latency], teachers: Mapping[Key, Latency]
) -> tuple[str, dict[str, float]]:
    """Makes the table, with the student's speed relative to each teacher at p50, kind by kind."""
    names = list(dict.fromkeys(name for name, _ in teachers))
    ratios: dict[str, float] = {}
    rows: list[Sequence[object]] = []
    for (name, kind), latency in (dict(students) | dict(teachers)).items():
        times = []
        for teacher in names if (name, kind) in students else ():
            ratio = round(teachers[teacher, kind].p50 / latency.p50, 1)
            ratios[f"{teacher} / {name}, {kind}"] = ratio
            times.append(f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.1f} times")
        figures = (f"{latency.p50:.3f}", f"{latency.p95:.3f}", f"{latency.p99:.3f}")
        blank = [""] * (len(names) - len(times))
        rows.append([name, kind, *figures, f"{latency.per_second:,.1f}", *times, *blank])
    faster = [f"faster than {name}" for name in names]
    header = ["one node a call", "node", "p50 ms", "p95 ms", "p99 ms", "nodes/s", *faster]
    return markdown_table(header, rows), ratios


def latency(
    bundles: Annotated[
        list[Path], typer.Argument(help="Bundles of one graph's students, of any text encoder.")
    ],
    rounds: Annotated[
        int, typer.Option(min=10, help="Maximum number of calls of each model.")
    ] = 1_000,
    seconds: Annotated[float, typer.Option(min=1, help="Approximate seconds per model.")] = 10.0,
    threads: Annotated[
        int, typer.Option(min=1, help="Number of threads of a teacher; a student has one.")
    ] = 2,
    language_model: Annotated[
        bool, typer.Option("--gemma/--no-gemma", help="Also time Gemma 3 270M (extra gemma).")
    ] = True,
    large: Annotated[
        bool, typer.Option(help="Also time a model of 1.1B parameters, which needs 3 GB.")
    ] = True,
) -> None:
    """Time students beside teachers: p50, p95, p99 and throughput."""
    for bundle in bundles:
        check_bundle(bundle, "taskset")
    graphs = [load_snapshot(bundle / "graph") for bundle in bundles]
    if len({graph.content_hash for graph in graphs}) > 1:
        raise BenchmarkError("the bundles are of different graphs; name students of one")
    loaders = {
        "MiniLM": embedded_teacher,
        **({"Gemma 3 270M": gemma} if language_model else {}),
        **({"Llama shape 1.1B (latency only)": llama_shaped} if large else {}),
    }
    students: dict[Key, Latency] = {}
    with terminal_progress() as progress:
        for bundle in bundles:
            with step(progress, f"Timing {bundle.name}"):
                students |= measure_student(bundle, rounds, seconds)
        with step(progress, "Timing the teachers"):
            teachers = measure_teachers(graphs[0], loaders, rounds, seconds, threads)
    table, ratios = report(students, teachers)
    table = f"Bundles of {described(graphs[0])}.\n\n{table}"
    values = {", ".join(key): found for key, found in (students | teachers).items()}
    results = Latencies(Settings(described(graphs[0]), threads, HOPS), values, ratios)
    publish_results("latency", results, table)


if __name__ == "__main__":
    run_script(latency)
