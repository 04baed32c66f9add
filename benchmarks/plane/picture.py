"""The picture of `benchmarks.plane`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.common.published import HOSTED, LOCAL
from benchmarks.plane.point import Point

mpl.use("Agg")
COLORS = {"hashing": "tab:blue", "minilm": "tab:orange", "teacher": "tab:red"}
MARKERS = {"": "D", "sage": "o", "mlp": "s", "gcn": "^", "gat": "v", "gin": "P"}
IN_WORDS = {"sage": "●", "mlp": "■", "gcn": "▲", "gat": "▼", "gin": "✚"}
LEFT = 0.5  # of a latency: where the captions of its points begin
APART = 1.25  # factor between networks that share a latency, so that their intervals can be seen
TOP, BENEATH = 99, 90  # percent: captions of bands, and beneath them those of lines
LINE = 2.5  # percent that a line of a caption takes


def draw(
    path: Path, points: Sequence[Point], without: Mapping[str, float], title: str, timed: str
) -> None:
    """Writes the picture."""
    figure = picture(points, without, title, timed)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def picture(
    points: Sequence[Point], without: Mapping[str, float], title: str, timed: str
) -> Figure:
    """Draws accuracy in percent over milliseconds; bars are intervals, and p50 to p95.

    Args:
        without: p50 of models without an accuracy, by name
    """
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    axes = figure.subplots()
    for latency in dict.fromkeys(point.p50 for point in points):
        place(axes, latency, [point for point in points if point.p50 == latency])
    for name, latency in without.items():
        axes.axvline(latency, color="tab:gray", linestyle=":")
        caption(axes, (latency, BENEATH), f"{name}, p50 ", "tab:gray", "right")
    for published, color in ((LOCAL, "tab:green"), (HOSTED, "tab:purple")):
        low, high = published.p50_ms
        axes.axvspan(low, high, color=color, alpha=0.1, linewidth=0)
        note = f"{published.name}:\npublished p50, {low:g} to {high:g} ms;\naccuracy not published"
        caption(axes, ((low * high) ** 0.5, TOP), note, color, "center")
    axes.set_xscale("log")
    axes.set_xlim(left=0.13, right=9_000)
    axes.set_xlabel(
        f"milliseconds (log scale): {timed}\n"
        "p50 with a bar to p95; networks of one latency stand beside each other around it\n"
        "hollow: labels alone; filled: taught by what its line names, or a teacher that is asked",
        fontsize=8,
    )
    axes.set_ylim(0, 100)
    axes.set_ylabel("test accuracy, %")
    figure.suptitle(title, fontsize=10)
    axes.grid(visible=True, which="major", alpha=0.3)
    return figure


def caption(axes: Axes, at: tuple[float, float], text: str, color: str, side: str) -> None:
    """Writes the caption of a line or a band."""
    axes.annotate(text, at, ha=side, va="top", fontsize=7, color=color)


def place(axes: Axes, latency: float, points: Sequence[Point]) -> None:
    """Draws the points of one latency: a column for each network, with captions beneath."""
    networks = list(dict.fromkeys(point.student for point in points))
    lines: list[tuple[str, bool]] = []
    for number, network in enumerate(networks):
        at = latency * APART ** (number - (len(networks) - 1) / 2)
        own = [point for point in points if point.student == network]
        for point in own:
            mark(axes, at, point, first=point is own[0])
        lines += captions(own)
    top = min(point.accuracy if point.low is None else point.low for point in points) - LINE
    for number, (text, bold) in enumerate(lines):
        axes.annotate(
            text,
            (LEFT * latency, top - LINE * number),
            va="top",
            fontsize=6.5,
            color=COLORS[points[0].family],
            fontweight="bold" if bold else "normal",
        )


def captions(points: Sequence[Point]) -> list[tuple[str, bool]]:
    """The captions of a network's points, the lowest first, and whether each is a heading."""
    lines: list[tuple[str, bool]] = []
    if network := points[0].student:
        lines.append((f"{IN_WORDS[network]} {points[0].name.partition(', ')[0]}", True))
    for point in sorted(points, key=lambda point: point.accuracy):
        way = point.name.partition(", ")[2].removeprefix("taught ") if network else point.name
        counted = " (1 split)" if point.low is None else ""
        lines.append((f"{point.accuracy:.1f}  {way}{counted}", False))
    return lines


def mark(axes: Axes, at: float, point: Point, first: bool) -> None:
    """Draws a point with its interval; the first of a column has the bar of latencies, too."""
    spread = None
    if point.low is not None and point.high is not None:
        spread = [[point.accuracy - point.low], [point.high - point.accuracy]]
    color = COLORS[point.family]
    filled = point.taught or not point.student
    axes.errorbar(
        at,
        point.accuracy,
        yerr=spread,
        xerr=[[0.0], [point.p95 - point.p50]] if first else None,
        fmt=MARKERS[point.student],
        color=color,
        markerfacecolor=color if filled else "white",
        markersize=7,
        capsize=2,
        elinewidth=0.8,
    )
