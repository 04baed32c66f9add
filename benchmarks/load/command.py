"""`understudy bench load`: latency and goodput at increasing rates.

    python -m benchmarks.load BUNDLE [--rates 100,1000] [--mix stored=90,unseen=9,changes=1]
    python -m benchmarks.load BUNDLE --teacher FOLDER --rates 1,10,100

Requests start by a Poisson process, whatever the answers do, and are timed from when they were to
start. Goodput is answers with success within the deadline, a second. With --tell-deadline every
rate is measured twice, the second time with requests that say that they want their answer within
the deadline (x-timeout-seconds), so that the service need not work for them in vain.

The service runs on one core, with --teacher that teacher's server beside it, and the client on the
other; where the client itself is too slow, its lateness counts as the service's, so a rate that
neither sustains is a lower bound of the service's own.
"""

import itertools
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.common.command import check_bundle
from benchmarks.common.graphs import described_bundle
from benchmarks.common.results import publish_results
from benchmarks.load.driving import drive, load_servers
from benchmarks.load.offered import (
    MIXES,
    SORTS,
    Offered,
    check_few,
    check_mixes,
    parse_rates,
    planned,
)
from benchmarks.load.report import LoadResults, report
from benchmarks.serving.event_loop import run_to_end
from benchmarks.serving.questions import Questions
from benchmarks.serving.servers import client_core
from understudy.graph.snapshot import load_snapshot
from understudy.progress import terminal_progress

RATES = "100,300,1000,3000"
TEACHER_MIX = "teacher=100"  # unseen nodes, answered by the teacher


def load(
    bundle: Annotated[Path, typer.Argument(help="Bundle to serve.")],
    rates: Annotated[str, typer.Option(help="Requests per second, separated by commas.")] = RATES,
    mixes: Annotated[
        list[str] | None,
        typer.Option(
            "--mix",
            help=f"Percentages of {', '.join(SORTS)}, such as {MIXES[-1]}; may be given several "
            "times.",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds per rate.")] = 20.0,
    deadline: Annotated[
        float, typer.Option(min=1, help="Milliseconds within which an answer counts as good.")
    ] = 50.0,
    teacher: Annotated[
        Path | None, typer.Option(help="Folder of a trained teacher to ask beside the student.")
    ] = None,
    tell_deadline: Annotated[
        bool,
        typer.Option(
            "--tell-deadline",
            help="Repeat each run with requests that state their deadline, for comparison.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the arrival times.")] = 0,
) -> None:
    """Load the service at given rates: latency and goodput, mix by mix."""
    wanted = parse_rates(rates)
    chosen = mixes or (MIXES if teacher is None else (*MIXES, TEACHER_MIX))
    check_mixes(chosen, teacher)
    check_few(max(wanted), seconds)
    check_bundle(bundle, "taskset")
    questions = Questions(load_snapshot(bundle / "graph"))
    rows = []
    with terminal_progress() as progress, client_core(), load_servers(bundle, teacher) as servers:
        wishes = (None, deadline / 1_000) if tell_deadline else (None,)
        steps = list(itertools.product(dict.fromkeys(chosen), wanted, wishes))
        for number, (mix, rate, wish) in enumerate(steps):
            progress("Loading the service", number, len(steps))
            offered = Offered(mix, rate, seconds, wish)
            arrivals = planned(questions, offered, seed + number // len(wishes))
            rows.append(run_to_end(drive(servers, arrivals, offered, deadline / 1_000)))
        progress("Loading the service", len(steps), len(steps))
    graph = described_bundle(bundle, questions.graph)
    results = LoadResults(graph, seconds, deadline, rows)
    text = report(results)
    publish_results("load_told" if tell_deadline else "load", results, text)
