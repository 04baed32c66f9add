"""`understudy bench cost`: what a million answers cost, teachers and students side by side.

    python -m benchmarks.cost --machine-hour 0.10 [--tokens 300]

Made of rates that `understudy bench latency` and `bench http` measured and of two prices: of this
machine's hour, which is given, and of hosted decision models, which their makers publish. A machine
is taken to be busy all the time; one that waits costs more an answer, a hosted model does not.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.errors import BenchmarkError
from benchmarks.measure import RESULTS, check_programs, markdown_table, run_script, write_results
from benchmarks.published import HOSTED

MILLION = 1_000_000
HOUR = 3_600  # seconds


@dataclass(frozen=True, slots=True)
class Answers:
    """One way to answer, kept busy."""

    way: str
    asked: str  # which nodes
    per_second: float
    cores: int  # that it keeps busy
    source: str  # the file that says so


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
    rows = [{**asdict(way), "dollars": price(way, machine_hour, cores)} for way in rates]
    assert HOSTED.dollars is not None
    hosted = [dollars * tokens for dollars in HOSTED.dollars]  # a million answers of so many tokens
    results = {
        "machine_hour": machine_hour,
        "machine_cores": cores,
        "tokens": tokens,
        "ways": rows,
        "hosted": {"name": HOSTED.name, "published": True, "dollars": hosted},
    }
    text = report(results)
    typer.echo(text)
    write_results("cost", results, text)


def measured(folder: Path) -> tuple[list[Answers], int]:
    """The ways that were measured, and the machine's cores.

    Raises:
        BenchmarkError: a file is missing, or is of another machine than the others.
    """
    latency, load = read(folder, "latency"), read(folder, "http")
    kinds = {
        (result["machine"]["processor"], result["machine"]["cores"]) for result in (latency, load)
    }
    if len(kinds) > 1:
        raise BenchmarkError("latency.json and http.json are of different machines; measure both")
    return [*of_latency(latency), *of_load(load)], latency["machine"]["cores"]


def read(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchmarkError(
            f"{path} cannot be read ({error.strerror}); `understudy bench {name}` writes it"
        ) from error
    except ValueError as error:
        raise BenchmarkError(f"{path} is no JSON: {error}") from error
    return found


def of_latency(result: Mapping[str, Any]) -> Iterator[Answers]:
    """Teachers and students, one node a call, in process."""
    threads = result["settings"]["teacher_threads"]
    for name, found in result["latency"].items():
        if ", over HTTP, " in name:
            continue
        own = name.startswith("student ")
        way, _, asked = name.partition(", in process, " if own else ", ")
        yield Answers(way, asked, found["per_second"], 1 if own else threads, "latency")


def of_load(result: Mapping[str, Any]) -> Iterator[Answers]:
    rates = result["requests_per_second"]
    yield Answers("POST /classify, one id", "stored", rates["stored"], 1, "http")
    yield Answers("POST /classify, 256 ids", "stored", 256 * rates["stored_256"], 1, "http")


def price(way: Answers, machine_hour: float, cores: int) -> float:
    """Of a million answers."""
    return MILLION / way.per_second / HOUR * machine_hour * way.cores / cores


def report(results: Mapping[str, Any]) -> str:
    rows = [
        [
            row["way"],
            row["asked"],
            f"{row['per_second']:,.1f}",
            row["cores"],
            dollars(row["dollars"]),
            f"[{row['source']}]({row['source']}.md)",
        ]
        for row in results["ways"]
    ]
    low, high = map(dollars, results["hosted"]["dollars"])
    rows.append(
        [results["hosted"]["name"], f"a question of {results['tokens']:,} tokens", "", "",
         f"{low} to {high}", "published by their makers, not measured"]
    )  # fmt: skip
    header = ["who answers", "nodes", "answers/s", "cores", "a million answers", "rate"]
    return (
        f"At {results['machine_hour']:g} an hour for a machine of {results['machine_cores']} cores "
        "that is busy all the time; in the same money as the published prices (dollars).\n\n"
        + markdown_table(header, rows)
    )


def dollars(value: float) -> str:
    if value >= 1:
        return f"{value:,.2f}"
    return np.format_float_positional(value, precision=2, fractional=False)


if __name__ == "__main__":
    run_script(cost)
