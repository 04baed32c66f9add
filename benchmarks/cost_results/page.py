"""docs/results.md's part on cost, from the files that are committed.

    python -m benchmarks.cost_results

A section is left out as long as its benchmark's file is not there. Each table is the one that the
benchmark itself wrote, made again from its figures, or the part of it that says most.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from matplotlib.figure import Figure

from benchmarks import cost, load, scale
from benchmarks.common.generated_part import PAGE, GeneratedPart
from benchmarks.common.published import HOSTED, LOCAL
from benchmarks.common.results import RESULTS, markdown_table
from benchmarks.cost_results.pictures import growth_picture, load_picture, save
from benchmarks.peers.report import summary
from benchmarks.plane import points as plane
from benchmarks.updates import report as updates_report

PART = GeneratedPart("python -m benchmarks.cost_results")
FROM_PAGE = "../benchmarks/results"  # as docs/results.md links them
OWN_LINK = re.compile(r"\]\((?=[\w-]+\.(?:md|png)\))")  # of a file of results to another

Results = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """A benchmark on the page."""

    name: str  # of its file
    title: str
    body: Callable[[Results], str]  # of its figures
    picture: Callable[[Results], Figure] | None = None  # of its figures, beside its file


def main() -> None:
    """Write docs/results.md's part on cost, and its pictures, from the committed results."""
    for section in SECTIONS:
        if section.picture and (results := read(RESULTS, section.name)):
            save(section.picture(results), RESULTS / f"{section.name}.png")
    typer.echo(f"written: {PART.put(PAGE, sections(RESULTS))}")


def sections(folder: Path) -> str:
    """All sections whose file is there."""
    parts = []
    for section in SECTIONS:
        if results := read(folder, section.name):
            body = OWN_LINK.sub(f"]({FROM_PAGE}/", section.body(results)).strip()
            if section.picture:
                body = f"![{section.title}]({FROM_PAGE}/{section.name}.png)\n\n{body}"
            parts.append(f"### {section.title}\n\n{body}\n\n{made(section.name, results)}")
    return "\n\n".join(parts)


def read(folder: Path, name: str) -> dict[str, Any]:
    """A benchmark's figures; nothing where it has not run."""
    path = folder / f"{name}.json"
    if not path.is_file():
        return {}
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return results


def made(name: str, results: Results) -> str:
    """What made it, and where all of it is."""
    machine = results["machine"]
    return (
        f"[{name}]({FROM_PAGE}/{name}.md): {machine['processor']}, {machine['cores']} cores, "
        f"load average {machine['load_average']:g} when it was written, {machine['date'][:10]}."
    )


def latencies(results: Results) -> str:
    """Measured ones, and beside them what makers of decision models publish."""
    rows = [
        [way, *(f"{found[rank]:.3f}" for rank in ("p50", "p95", "p99"))]
        for way, found in results["latency"].items()
    ]
    for published in (LOCAL, HOSTED):
        low, high = published.p50_ms
        rows.append([f"{published.name} (published, not measured)", f"{low:g} to {high:g}", "", ""])
    settings = results["settings"]
    return (
        f"One node a call; bundles of {settings['graph']}. Teachers have "
        f"{settings['teacher_threads']} threads, students one. What decision models take is what "
        "their makers publish, of questions of their own.\n\n"
        + markdown_table(["who answers, how, what", "p50 ms", "p95 ms", "p99 ms"], rows)
    )


def loads(results: Results) -> str:
    return load.report(
        results["graph"], results["loads"], results["seconds"], results["deadline_ms"]
    )


def growth(results: Results) -> str:
    return scale.report(results["sizes"])


def in_the_plane(results: Results) -> str:
    points = [plane.Point(**found) for found in results["points"]]
    return plane.report(results["title"], results["latency"], points)


SECTIONS = (
    Section("latency", "One node", latencies),
    Section("plane", "Accuracy over latency", in_the_plane),
    Section("peers", "Beside what a person would serve instead", summary),
    Section("load", "Under load", loads, load_picture),
    Section("scale", "Growth", growth, growth_picture),
    Section("updates", "Changes of edges", updates_report.markdown),
    Section("updates_10", "Changes of edges, ten times the graph", updates_report.markdown),
    Section("cost", "A million answers", cost.report),
)
