"""Compares a GPU with the processor: seconds per student's epoch, a teacher's prompts per second.

    python -m benchmarks.devices [--nodes 1000000] [--edges 10000000] [--students sage,gcn,gat]

The graph and its embeddings are random, since speed does not depend on their content. An
epoch is a step over the whole graph and its evaluation, as `understudy distill` takes them. The
teacher is MiniLM, or an encoder of your own, asked about the nodes of a small graph. The processor
uses `--threads` threads, by default two, as for all other results. It is measured last, since it is
slow, and every figure is written at once, so an interrupted run keeps its earlier figures.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.common.command import check_programs, run_script
from benchmarks.common.results import markdown_table, write_results
from benchmarks.epoch import epoch_times
from benchmarks.teacher_rate import TOKENS, ask_for
from training.config import StudentConfig
from training.data import GraphData
from training.devices import device_title, found_device
from training.plan import drawn_graph, small_student
from training.teacher.encoder import EncoderOptions, load_encoder_teacher
from training.teacher.extract import answer_part
from training.terminal import quiet_libraries
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

PROCESSOR = ("cpu", False)
Way = tuple[str, bool]  # a device, and whether products are in bfloat16
CLASSES = 40


@dataclass(frozen=True, slots=True)
class DevicesResults:
    """The content of results/devices.json; grows while it is measured."""

    device: str
    threads: int  # of the processor
    nodes: int
    edges: int
    epoch_seconds: dict[str, dict[str, float]]  # by student, then by way
    prompts_a_second: dict[str, float]  # by way


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
    results = DevicesResults(device_title(found), threads, nodes, edges, {}, {})
    drawn = drawn_graph(nodes, edges, CLASSES)
    for way in reversed(ways):
        rate = teacher_rate(asked, teacher, way)
        results.prompts_a_second[named(way)] = rate
        for kind in students.split(","):
            seconds = epoch_of(kind, drawn, epochs, way)
            results.epoch_seconds.setdefault(kind, {})[named(way)] = seconds
            write_results("devices", asdict(results), report(results, ways))
    typer.echo(report(results, ways))


def named(way: Way) -> str:
    device, mixed = way
    return f"{device}, bfloat16" if mixed else device


def epoch_of(kind: str, drawn: GraphData, epochs: int, way: Way) -> float:
    """The shortest time of an epoch, in seconds."""
    device = found_device(way[0])
    torch.manual_seed(0)
    student = small_student(StudentConfig(kind=kind), CLASSES).to(device)
    times = epoch_times(student, drawn.to(device, whole=True), epochs, True, way[1])
    return round(min(seconds for seconds, _ in times), 4)


def teacher_rate(count: int, folder: Path | None, way: Way) -> float:
    """Prompts per second. A warm-up is not counted; on a device, which prepares itself for every
    new shape of a batch, it asks all prompts once.
    """
    source = synthetic_graph(SyntheticOptions(nodes=count, classes=10))
    prompts, _ = ask_for(source, count, nested=False)
    teacher = load_encoder_teacher(folder, source.num_classes, EncoderOptions(bf16=way[1]))
    teacher.module.to(found_device(way[0]))
    some = prompts[: max(1, count // 10)] if way == PROCESSOR else prompts
    answer_part(teacher, some, TOKENS)
    started = time.perf_counter()
    answer_part(teacher, prompts, TOKENS)
    return round(len(prompts) / (time.perf_counter() - started), 1)


def report(results: DevicesResults, ways: Sequence[Way]) -> str:
    """Makes both tables; each figure stands next to its speed relative to the processor's."""
    names = [named(way) for way in ways]
    epochs = [
        [kind, *cells(by, names, "{:.3g} s", faster=True)]
        for kind, by in results.epoch_seconds.items()
    ]
    row = cells(results.prompts_a_second, names, "{:,.0f}", faster=False)
    title = (
        f"{results.nodes:,} nodes, {results.edges:,} edges, width {StudentConfig().hidden}; "
        f"the processor with {results.threads} threads"
    )
    if len(ways) > 1:
        title += f"; {results.device}"
    return (
        f"{title}. An epoch over the whole graph:\n\n{markdown_table(['', *names], epochs)}\n"
        f"A teacher, prompts a second:\n\n{markdown_table(names, [row])}"
    )


def cells(found: dict[str, float], names: Sequence[str], form: str, faster: bool) -> list[str]:
    """Formats figures, with their ratios to the processor's if both are known.

    Args:
        faster: whether a smaller figure is a faster one
    """
    own = found.get(named(PROCESSOR))
    row = []
    for name in names:
        value = found.get(name)
        if value is None:
            row.append("not measured")
        elif own is None:
            row.append(form.format(value))
        else:
            ratio = own / value if faster else value / own
            row.append(f"{form.format(value)} ({ratio:.1f} times)")
    return row


if __name__ == "__main__":
    run_script(main)
