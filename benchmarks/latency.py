"""`understudy bench latency`: the student beside teachers, in process and over HTTP.

The student answers nodes of its bundle. The embedded teacher is MiniLM with a fresh head: its
answers are worthless, its time is that of a tuned one. The 1.1B model has Llama's shape and random
weights, which take as long as trained ones: latency only.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import typer

from benchmarks.http import service
from benchmarks.measure import check_means, described, markdown_table, write_results
from service.messages import Node
from understudy.engine.engine import Engine
from understudy.graph.progress import step, terminal_progress
from understudy.graph.prompts import Prompt, Prompter, PromptOptions, training_labels
from understudy.graph.snapshot import load_snapshot
from understudy.graph.text_graph import TextGraph

HOPS = 2
WARMUP = 3
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
    """Of one way to classify one node at a time; milliseconds, but for the rate."""

    p50: float
    p95: float
    p99: float
    per_second: float
    rounds: int


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


def student_nodes(graph: TextGraph) -> dict[str, Callable[[int], Node]]:
    """A stored node by its number, and the same one sent as if it were unseen."""
    ids = graph.ids

    def unseen(number: int) -> Node:
        row = number * 97 % graph.num_nodes
        near = graph.adjacency.neighbors(row)[:16].tolist()
        # A text of its own each time, so that no cache of texts answers.
        text = f"{graph.texts[row].as_py()} {number}"
        return Node(text=text, neighbors=tuple(ids[other].as_py() for other in near))

    return {"stored": lambda n: Node(id=ids[n * 97 % graph.num_nodes].as_py()), "unseen": unseen}


def measure_student(bundle: Path, rounds: int, seconds: float, threads: int) -> dict[str, Latency]:
    results: dict[str, Latency] = {}
    graph = load_snapshot(bundle / "graph")
    ways = student_nodes(graph)
    with Engine.open(bundle, threads) as engine:
        for name, node_of in ways.items():
            nodes = [node_of(number) for number in range(rounds + WARMUP)]
            results[f"student, {name}, in process"] = measure(
                lambda n, nodes=nodes: engine.classify([nodes[n]]),  # type: ignore[misc]
                rounds,
                seconds,
            )
    with service(bundle) as own, httpx.Client(base_url=own.url, timeout=30) as client:
        client.get("/health/ready").raise_for_status()
        for name, node_of in ways.items():
            bodies = [json_node(node_of(number)) for number in range(rounds + WARMUP)]
            results[f"student, {name}, over HTTP"] = measure(
                lambda n, bodies=bodies: ask(client, bodies[n]),  # type: ignore[misc]
                rounds,
                seconds,
            )
    return results


def json_node(node: Node) -> dict[str, Any]:
    own = {"id": node.id} if node.text is None else {"text": node.text}
    return own if not node.neighbors else {**own, "neighbors": list(node.neighbors)}


def ask(client: httpx.Client, node: dict[str, Any]) -> None:
    client.post("/classify", json={"nodes": [node]}).raise_for_status()


def prompts_of(graph: TextGraph, tokens: int, count: int) -> list[Prompt]:
    from understudy.graph.prompts import StoredTexts

    options = PromptOptions(tokens=tokens)
    prompter = Prompter(StoredTexts(graph), graph.label_names, training_labels(graph), options)
    return [prompter.stored(n * 97 % graph.num_nodes, HOPS) for n in range(count)]


def embedded_teacher(graph: TextGraph) -> Callable[[Prompt], object]:
    from training.teacher.encoder import EncoderOptions, load_encoder_teacher

    teacher = load_encoder_teacher(None, graph.num_classes, EncoderOptions())
    return lambda prompt: teacher.answer([prompt])


def llama_shaped(graph: TextGraph) -> Callable[[Prompt], object]:
    """One forward pass over a prompt of as many tokens as its words would have.

    The label's own tokens would come on top, so this flatters the model.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(**TINY_LLAMA)  # type: ignore[arg-type]
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
    graph: TextGraph, rounds: int, seconds: float, threads: int, large: bool
) -> dict[str, Latency]:
    import torch

    from training.terminal import quiet_libraries

    quiet_libraries()
    torch.set_num_threads(threads)
    prompts = prompts_of(graph, 160, rounds + WARMUP)
    small = embedded_teacher(graph)
    results = {"teacher, embedded (MiniLM)": measure(lambda n: small(prompts[n]), rounds, seconds)}
    if large:
        longer = prompts_of(graph, 380, rounds + WARMUP)
        llama = llama_shaped(graph)
        results["teacher, Llama shape 1.1B, bfloat16 (latency only)"] = measure(
            lambda n: llama(longer[n]), rounds, seconds
        )
    return results


def report(results: dict[str, Latency]) -> tuple[str, dict[str, float]]:
    """The table, and how many times faster than each teacher the student is at p50."""
    names = [name for name in results if name.startswith("teacher")]
    ratios: dict[str, float] = {}
    rows: list[Sequence[object]] = []
    for name, latency in results.items():
        times = []
        for teacher in names:
            ratio = round(results[teacher].p50 / latency.p50, 1)
            if not name.startswith("teacher"):
                ratios[f"{teacher} / {name}"] = ratio
            times.append("" if name.startswith("teacher") else f"{ratio:,.0f} times")
        figures = (f"{latency.p50:.3f}", f"{latency.p95:.3f}", f"{latency.p99:.3f}")
        rows.append([name, *figures, f"{latency.per_second:,.1f}", *times])
    short = [f"faster than {name.removeprefix('teacher, ')}" for name in names]
    header = ["one node a call", "p50 ms", "p95 ms", "p99 ms", "nodes/s", *short]
    return markdown_table(header, rows), ratios


def latency(
    bundle: Annotated[Path, typer.Argument(help="Bundle of the student.")],
    rounds: Annotated[int, typer.Option(min=10, help="Calls of each, at most.")] = 1_000,
    seconds: Annotated[float, typer.Option(min=1, help="Of each, about.")] = 20.0,
    threads: Annotated[int, typer.Option(min=1, help="Of a teacher; the student has one.")] = 2,
    large: Annotated[bool, typer.Option(help="Also the 1.1B shape, which needs 3 GB.")] = True,
) -> None:
    """Time the student beside the teachers: p50, p95, p99 and throughput."""
    check_means(bundle, "taskset")
    graph = load_snapshot(bundle / "graph")
    with terminal_progress() as progress:
        with step(progress, "Timing the student"):
            results = measure_student(bundle, rounds, seconds, threads=1)
        with step(progress, "Timing the teachers"):
            results |= measure_teachers(graph, rounds, seconds, threads, large)
    table, ratios = report(results)
    table = f"Bundle of {described(graph)}.\n\n{table}"
    typer.echo(table)
    values = {name: asdict(latency) for name, latency in results.items()}
    settings = {"graph": described(graph), "teacher_threads": threads}
    write_results("latency", {"settings": settings, "latency": values, "ratios": ratios}, table)
