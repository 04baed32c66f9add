"""Timing and reporting that every benchmark shares."""

import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from benchmarks.errors import BenchmarkError
from understudy.bundle import open_bundle
from understudy.cli import errors_in_a_line, tidy_end
from understudy.command_line.option_numbers import refuse_no_numbers
from understudy.environment import installed, processor
from understudy.graph import TextGraph

RESULTS = Path(__file__).parents[1] / "results"
REPORTED_PACKAGES = ("numpy", "torch", "torch-geometric", "onnxruntime", "fastapi", "uvicorn")


def machine_facts() -> dict[str, Any]:
    """What a reader needs to judge the figures by."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),  # of the minute before, other work included
        "python": platform.python_version(),
        "packages": {name: found for name in REPORTED_PACKAGES if (found := installed(name))},
    }


def side_by_side(
    works: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 2, repeats: int = 1
) -> dict[str, float]:
    """Median seconds of each work; they take turns, so that noise meets all of them alike.

    Args:
        repeats: times that a work runs in its turn; all but the first find its data in the caches,
            as in a process that does nothing else.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(warmup + rounds):
        for name, work in works.items():
            for _ in range(repeats):
                started = time.perf_counter()
                work()
                if number >= warmup:
                    seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def described(graph: TextGraph) -> str:
    """Which graph figures are of."""
    return f"{graph.name}: {graph.num_nodes:,} nodes, {graph.adjacency.num_edges:,} edges"


def described_bundle(folder: Path, graph: TextGraph) -> str:
    """The same, and what reads its texts."""
    encoder = open_bundle(folder, verify=False).manifest.encoder.name
    return f"{described(graph)}; texts read by {encoder}"


def check_means(bundle: Path, *programs: str) -> None:
    """Refuses, before anything is measured, what could not be measured or written.

    Args:
        programs: that must be installed.

    Raises:
        BundleError: it is no bundle.
        BenchmarkError: a program is missing, or the results cannot be written.
    """
    open_bundle(bundle, verify=False)
    check_programs(*programs)


def check_programs(*programs: str) -> None:
    """The same without a bundle.

    Raises:
        BenchmarkError: a program is missing, or the results cannot be written.
    """
    if missing := [program for program in programs if shutil.which(program) is None]:
        raise BenchmarkError(f"this needs the program {missing[0]}, which is not installed")
    try:
        RESULTS.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=RESULTS):
            pass
    except OSError as error:
        raise BenchmarkError(
            f"results are written to {RESULTS}, and cannot be: {error.strerror}"
        ) from error


def write_results(name: str, results: Mapping[str, Any], markdown: str) -> None:
    """Writes results/NAME.json, machine facts included, and results/NAME.md, and tells where."""
    RESULTS.mkdir(exist_ok=True)
    facts = machine_facts()
    text = json.dumps({"machine": facts, **results}, indent=2, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    packages = ", ".join(f"{package} {found}" for package, found in facts["packages"].items())
    machine = f"{facts['processor']}, {facts['cores']} cores; {packages}; {facts['date'][:10]}."
    (RESULTS / f"{name}.md").write_text(f"{markdown}\n{machine}\n", encoding="utf-8")
    typer.echo(f"written, in place of what was there: {RESULTS / name}.md and .json", err=True)


def run_script(main: Callable[..., None]) -> None:
    """Runs a benchmark as its own command, with the errors of `understudy`."""
    app = typer.Typer(add_completion=False)
    app.command()(main)
    command = typer.main.get_command(app)
    refuse_no_numbers(command)
    with errors_in_a_line(), tidy_end():
        command()
