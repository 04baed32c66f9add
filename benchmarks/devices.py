"""A GPU beside the processor: an epoch of each student, and a teacher's rate.

    python -m benchmarks.devices [--nodes 1000000] [--edges 10000000] [--students sage,gcn,gat]

The graph is drawn, and so are its embeddings: what is measured does not depend on what they say. An
epoch is a step over the whole graph and its evaluation, as `understudy distill` takes them. The
teacher is MiniLM, or an encoder of your own, asked about the nodes of a small graph. The processor
has `--threads` threads, two by default: the machine that every other figure is of.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.epoch import epoch_times
from benchmarks.measure import check_programs, markdown_table, run_script, write_results
from benchmarks.teacher_rate import TOKENS, ask_for
from training.config import StudentConfig
from training.devices import device_title, found_device
from training.plan import drawn_graph, small_student
from training.teacher.encoder import EncoderOptions, load_encoder_teacher
from training.teacher.extract import answer_part
from training.terminal import quiet_libraries
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

PROCESSOR = ("cpu", False)
Way = tuple[str, bool]  # a device, and whether products are in bfloat16
CLASSES = 40


def main(
    nodes: Annotated[int, typer.Option(min=10, help="Of the drawn graph.")] = 1_000_000,
    edges: Annotated[int, typer.Option(min=1, help="Of it, each told once.")] = 10_000_000,
    students: Annotated[str, typer.Option(help="Networks, with commas between.")] = "sage,gcn,gat",
    epochs: Annotated[int, typer.Option(min=1, help="Measured, after one that is not.")] = 2,
    asked: Annotated[int, typer.Option(min=1, help="Prompts to the teacher.")] = 2_000,
    teacher: Annotated[Path | None, typer.Option(help="An encoder's folder; else MiniLM.")] = None,
    device: Annotated[str, typer.Option(help="Beside the processor: auto, cuda, cuda:1.")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="Of the processor.")] = 2,
) -> None:
    """Measure, print and write results/devices.json and devices.md."""
    quiet_libraries()
    check_programs()
    torch.set_num_threads(threads)
    found = found_device(device)
    ways = [PROCESSOR]
    if found.type != "cpu":
        ways += [(str(found), False), (str(found), True)]
    kinds = students.split(",")
    seconds = {kind: epochs_of(kind, nodes, edges, epochs, ways) for kind in kinds}
    rates = teacher_rates(asked, teacher, ways)
    results = {
        "device": device_title(found),
        "threads": threads,
        "nodes": nodes,
        "edges": edges,
        "epoch_seconds": seconds,
        "prompts_a_second": rates,
    }
    text = report(results, ways)
    write_results("devices", results, text)
    typer.echo(text)


def named(way: Way) -> str:
    device, mixed = way
    return f"{device}, bfloat16" if mixed else device


def epochs_of(
    kind: str, nodes: int, edges: int, epochs: int, ways: Sequence[Way]
) -> dict[str, float]:
    """The least seconds of an epoch, by way; the drawn graph is the same for all."""
    drawn = drawn_graph(nodes, edges, CLASSES)
    found = {}
    for way in ways:
        device = found_device(way[0])
        torch.manual_seed(0)
        student = small_student(StudentConfig(kind=kind), CLASSES).to(device)
        times = epoch_times(student, drawn.to(device, whole=True), epochs, True, way[1])
        found[named(way)] = round(min(seconds for seconds, _ in times), 4)
    return found


def teacher_rates(asked: int, folder: Path | None, ways: Sequence[Way]) -> dict[str, float]:
    """Prompts a second, by way; one that is not measured comes first."""
    quick = SyntheticOptions(nodes=asked, classes=10)
    source = synthetic_graph(quick)
    prompts, _ = ask_for(source, asked, nested=False)
    found = {}
    for way in ways:
        options = EncoderOptions(bf16=way[1])
        teacher = load_encoder_teacher(folder, source.num_classes, options)
        teacher.module.to(found_device(way[0]))
        answer_part(teacher, prompts[: max(1, asked // 10)], TOKENS)
        started = time.perf_counter()
        answer_part(teacher, prompts, TOKENS)
        found[named(way)] = round(len(prompts) / (time.perf_counter() - started), 1)
    return found


def report(results: dict[str, Any], ways: Sequence[Way]) -> str:
    """Both tables, each figure beside how many times the processor's it is."""
    names = [named(way) for way in ways]
    own = named(PROCESSOR)
    epochs = [
        [kind, *(f"{by[name]:.3g} s ({by[own] / by[name]:.1f} times)" for name in names)]
        for kind, by in results["epoch_seconds"].items()
    ]
    rates = results["prompts_a_second"]
    asked = [f"{rates[name]:,.0f} ({rates[name] / rates[own]:.1f} times)" for name in names]
    title = (
        f"{results['nodes']:,} nodes, {results['edges']:,} edges, width {StudentConfig().hidden}; "
        f"the processor with {results['threads']} threads"
    )
    if len(ways) > 1:
        title += f"; {results['device']}"
    return (
        f"{title}. An epoch over the whole graph:\n\n{markdown_table(['', *names], epochs)}\n"
        f"A teacher, prompts a second:\n\n{markdown_table(names, [asked])}"
    )


if __name__ == "__main__":
    run_script(main)
