"""The charts of the section on cost of docs/results.md, on logarithmic scales."""

from collections.abc import Sequence
from math import nan
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.load.report import LoadResults
from benchmarks.scale import ScaleResults

mpl.use("Agg")


def save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110, metadata={"Software": None})


def load_picture(results: LoadResults) -> Figure:
    """Draws p50 and p99 of each mix over the rate of requests."""
    title = f"{results.graph}; {results.seconds:g} s of Poisson arrivals at each rate"
    figure, axes = plot(title, "requests a second (log scale)")
    loads = results.loads
    for number, mix in enumerate(dict.fromkeys(row.mix for row in loads)):
        rows = [row for row in loads if row.mix == mix]
        rates = [row.rate for row in rows]
        p50s, p99s = [row.all.p50 for row in rows], [row.all.p99 for row in rows]
        for rank, line, times in (("p50", "-", p50s), ("p99", "--", p99s)):
            values = [nan if time is None else time for time in times]
            axes.plot(rates, values, f"o{line}", color=f"C{number}", label=f"{mix}, {rank}")
    deadline = results.deadline_ms
    axes.axhline(deadline, color="tab:gray", linestyle=":", label=f"in time: {deadline:g} ms")
    return legend(figure)


def growth_picture(results: ScaleResults) -> Figure:
    """Draws times of answers and changes over the number of nodes; bars reach from p50 to p99."""
    sizes, plan = results.sizes, results.plan
    title = (
        f"{sizes[0].graph}, to {sizes[-1].graph};\n"
        f"n = {plan.requests} unseen nodes and {2 * plan.changes} changes; bars to p99"
    )
    figure, axes = plot(title, "nodes of the graph (log scale)")
    nodes = [row.nodes for row in sizes]
    stored = [row.stored.microseconds / 1_000 for row in sizes]
    axes.plot(nodes, stored, "s-", color="C0", label="stored node, processor time a request")
    unseen, changes = [row.unseen for row in sizes], [row.changes for row in sizes]
    for number, (found, name) in enumerate(((unseen, "unseen node"), (changes, "an edge"))):
        p50s = [times.p50 for times in found]
        bars: Sequence[Sequence[float]] = [
            [0.0] * len(found),
            [times.p99 - times.p50 for times in found],
        ]
        label = f"{name}, one after the other, p50"
        axes.errorbar(nodes, p50s, bars, fmt="o-", color=f"C{number + 1}", capsize=3, label=label)
    return legend(figure)


def plot(title: str, across: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(across)
    axes.set_ylabel("milliseconds (log scale)")
    axes.grid(visible=True, which="major", alpha=0.3)
    figure.suptitle(title, fontsize=9)
    return figure, axes


def legend(figure: Figure) -> Figure:
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure
