"""`understudy bench cost`: dollars for a million answers, teachers and students side by side.

    python -m benchmarks.cost --machine-hour 0.10 [--tokens 300]

It combines the rates measured by `understudy bench latency` and `bench http` with two prices: the
given price of an hour of this machine, and the published prices of hosted decision models. A
machine is assumed to be busy all the time; an idle one costs more per answer, while a hosted model
does not.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.common.command import check_programs, run_script
from benchmarks.common.published import HOSTED
from benchmarks.common.results import (
    RESULTS,
    made_on,
    markdown_table,
    publish_results,
    read_results,
)
from benchmarks.errors import BenchmarkError
from benchmarks.http import Throughput
from benchmarks.latency import Latencies

MILLION = 1_000_000
HOUR = 3_600  # seconds


@dataclass(frozen=True, slots=True)
class Answers:
    """One way to answer, if it is kept busy."""

    way: str
    asked: str  # which nodes
    per_second: float
    cores: int  # that it keeps busy
    source: str  # the file that says so


@dataclass(frozen=True, slots=True)
class PricedAnswers(Answers):
    dollars: float  # a million answers


@dataclass(frozen=True, slots=True)
class HostedPrice:
    """What makers of hosted decision models publish."""

    name: str
    published: bool  # and not measured
    dollars: tuple[float, float]  # a million answers, least and most


@dataclass(frozen=True, slots=True)
class CostResults:
    """The content of results/cost.json."""

    machine_hour: float  # dollars
    machine_cores: int
    tokens: int  # of a hosted question
    ways: list[PricedAnswers]
    hosted: HostedPrice


def cost(
    machine_hour: Annotated[
        float, typer.Option(min=0, help="Price per hour of the machine with all its cores.")
    ],
    tokens: Annotated[
        int, typer.Option(min=1, help="Input tokens per question to a hosted model.")
    ] = 300,
    folder: Annotated[
        Path | None,
        typer.Option(help="Folder with the measured rates; by default benchmarks/results."),
    ] = None,
) -> None:
    """Tell the cost of a million answers, from rates that were measured before."""
    check_programs()
    rates, cores = measured(folder or RESULTS)
    ways = [PricedAnswers(**asdict(way), dollars=price(way, machine_hour, cores)) for way in rates]
    assert HOSTED.dollars is not None
    low, high = HOSTED.dollars  # a million tokens, and so a million answers of one token
    hosted = HostedPrice(HOSTED.name, published=True, dollars=(low * tokens, high * tokens))
    results = CostResults(machine_hour, cores, tokens, ways, hosted)
    text = report(results)
    publish_results("cost", results, text)


def measured(folder: Path) -> tuple[list[Answers], int]:
    """Reads the measured ways to answer, and the number of the machine's cores.

    Raises:
        BenchmarkError: a file is missing, or is of another machine than the others.
    """
    latency, http = folder / "latency.json", folder / "http.json"
    machine, other = made_on(latency), made_on(http)
    cores = machine["cores"]
    if (machine["processor"], cores) != (other["processor"], other["cores"]) or cores is None:
        raise BenchmarkError("latency.json and http.json are of different machines; measure both")
    rates = of_latency(read_results(latency, Latencies))
    return [*rates, *of_throughput(read_results(http, Throughput))], cores


def of_latency(result: Latencies) -> Iterator[Answers]:
    """Reads the rates of teachers and students, one node per call, in process."""
    threads = result.settings.teacher_threads
    for name, found in result.latency.items():
        if ", over HTTP, " in name:
            continue
        own = name.startswith("student ")
        way, _, asked = name.partition(", in process, " if own else ", ")
        yield Answers(way, asked, found.per_second, 1 if own else threads, "latency")


def of_throughput(result: Throughput) -> Iterator[Answers]:
    rates = result.requests_per_second
    yield Answers("POST /classify, one id", "stored", rates["stored"], 1, "http")
    yield Answers("POST /classify, 256 ids", "stored", 256 * rates["stored_256"], 1, "http")


def price(way: Answers, machine_hour: float, cores: int) -> float:
    """The price of a million answers."""
    return MILLION / way.per_second / HOUR * machine_hour * way.cores / cores


def report(results: CostResults) -> str:
    rows = [
        [
            row.way,
            row.asked,
            f"{row.per_second:,.1f}",
            row.cores,
            dollars(row.dollars),
            f"[{row.source}]({row.source}.md)",
        ]
        for row in results.ways
    ]
    low, high = map(dollars, results.hosted.dollars)
    rows.append(
        [results.hosted.name, f"a question of {results.tokens:,} tokens", "", "",
         f"{low} to {high}", "published by their makers, not measured"]
    )  # fmt: skip
    header = ["who answers", "nodes", "answers/s", "cores", "a million answers", "rate"]
    return (
        f"At {results.machine_hour:g} an hour for a machine of {results.machine_cores} cores "
        "that is busy all the time; in the same money as the published prices (dollars).\n\n"
        + markdown_table(header, rows)
    )


def dollars(value: float) -> str:
    if value >= 1:
        return f"{value:,.2f}"
    return np.format_float_positional(value, precision=2, fractional=False)


if __name__ == "__main__":
    run_script(cost)
