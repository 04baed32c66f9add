"""The picture of `benchmarks.plane`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.published import HOSTED, LOCAL

if TYPE_CHECKING:
    from benchmarks.plane import Point

mpl.use("Agg")
COLORS = {"hashing": "tab:blue", "minilm": "tab:orange", "teacher": "tab:red"}
MARKERS = {"": "D", "sage": "o", "mlp": "s", "gcn": "^", "gat": "v", "gin": "P"}
APART = 1.12  # factor between points that share a latency, so that their intervals can be seen


def draw(
    path: Path, points: Sequence["Point"], without: Mapping[str, float], title: str, timed: str
) -> None:
    """Writes the picture."""
    figure = picture(points, without, title, timed)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def picture(
    points: Sequence["Point"], without: Mapping[str, float], title: str, timed: str
) -> Figure:
    """Accuracy in percent over milliseconds; bars are intervals, and p50 to p95.

    Args:
        without: p50 of models without an accuracy, by name
    """
    figure = Figure(figsize=(11, 8), layout="constrained")
    axes = figure.subplots()
    place(axes, points)
    for name, latency in without.items():
        axes.axvline(latency, color="tab:gray", linestyle=":", label=f"{name}, p50")
    for published, color in ((LOCAL, "tab:green"), (HOSTED, "tab:purple")):
        low, high = published.p50_ms
        label = f"{published.name}: published p50, {low:g} to {high:g} ms; accuracy not published"
        axes.axvspan(low, high, color=color, alpha=0.12, label=label)
        axes.axvline(low, color=color, linestyle="--", linewidth=1)
        axes.axvline(high, color=color, linestyle="--", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel(
        "milliseconds (log scale), p50 with a bar to p95;\n"
        "points of one latency stand beside each other around it\n"
        f"({timed})",
        fontsize=8,
    )
    axes.set_ylim(0, 100)
    axes.set_ylabel("test accuracy, %")
    figure.suptitle(title, fontsize=10)
    axes.grid(visible=True, which="major", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize=7)
    return figure


def place(axes: Axes, points: Sequence["Point"]) -> None:
    """Points of one latency stand a little beside each other, around it."""
    numbers = {point.name: number for number, point in enumerate(points, start=1)}
    for latency in dict.fromkeys(point.p50 for point in points):
        together = [point for point in points if point.p50 == latency]
        for number, point in enumerate(together):
            at = latency * APART ** (number - (len(together) - 1) / 2)
            mark(axes, at, point, numbers[point.name])


def mark(axes: Axes, at: float, point: "Point", number: int) -> None:
    """A point with its bars and its number, which the legend repeats."""
    spread = None
    if point.low is not None and point.high is not None:
        spread = [[point.accuracy - point.low], [point.high - point.accuracy]]
    color = COLORS[point.family]
    filled = point.taught or not point.student
    axes.errorbar(
        at,
        point.accuracy,
        yerr=spread,
        xerr=[[0.0], [point.p95 - point.p50]],
        fmt=MARKERS[point.student],
        color=color,
        markerfacecolor=color if filled else "white",
        markersize=9,
        capsize=2,
        elinewidth=0.8,
        label=f"{number}  {point.name} ({point.splits} split{'s' if point.splits > 1 else ''})",
    )
    axes.annotate(
        str(number),
        (at, point.accuracy),
        ha="center",
        va="center",
        fontsize=6,
        color="white" if filled else color,
        zorder=10,
    )
