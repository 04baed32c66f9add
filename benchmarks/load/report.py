"""The table of results/load.md, and the content of results/load.json."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.common.results import markdown_table
from benchmarks.load.driving import Answered, RateResult


@dataclass(frozen=True, slots=True)
class LoadResults:
    """The content of results/load.json and load_told.json."""

    graph: str  # of the bundle, in words
    seconds: float  # of each rate
    deadline_ms: float
    loads: list[RateResult]


def report(results: LoadResults) -> str:
    cells: list[Sequence[str]] = []
    for row in results.loads:
        busy = f"{row.server_busy:.0%}", f"{row.client_busy:.0%}"
        goodput = f"{row.goodput_per_second:,.1f}"
        mix = f"{row.mix}, deadline told" if row.told else row.mix
        first = [mix, f"{row.rate:,.0f}"]
        cells.append([*first, "all", *figures(row.all), goodput, *busy])
        if len(row.sorts) > 1:
            cells += [["", "", name, *figures(own)] + [""] * 3 for name, own in row.sorts.items()]
    header = (
        "mix", "requests/s", "of them", "asked", "p50 ms", "p99 ms", "in time", "refused",
        "failed", "goodput/s", "server's core busy", "client's",
    )  # fmt: skip
    return (
        f"Bundle of {results.graph}. Poisson arrivals for {results.seconds:.0f} s at each "
        "rate, timed from when they were to start; in time is within "
        f"{results.deadline_ms:.0f} ms.\n\n" + markdown_table(header, cells)
    )


def figures(found: Answered) -> list[str]:
    share = f"{found.in_time / max(found.requests, 1):.1%}"
    times = ["" if time is None else f"{time:.2f}" for time in (found.p50, found.p99)]
    reasons = "; ".join(f"{why}: {n:,}" for why, n in found.failures.items())
    return [
        f"{found.requests:,}",
        *times,
        share,
        f"{found.refused:,}",
        f"{found.failed:,}{f' ({reasons})' if reasons else ''}",
    ]
