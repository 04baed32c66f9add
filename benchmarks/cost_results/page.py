"""The text and the tables of the section on cost of docs/results.md.

    python -m benchmarks.cost_results

A section is left out if its benchmark has no file yet. Each table is made from the benchmark's
figures as the benchmark itself makes it, or is the most important part of that table.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import typer
from matplotlib.figure import Figure

from benchmarks import cost, scale
from benchmarks.common.generated_part import PAGE, GeneratedPart
from benchmarks.common.published import HOSTED, LOCAL
from benchmarks.common.results import RESULTS, made_on, markdown_table, read_results
from benchmarks.cost_results.pictures import growth_picture, load_picture, save
from benchmarks.latency import Latencies
from benchmarks.load import report as load
from benchmarks.peers.report import summary
from benchmarks.peers.results import PeersResults
from benchmarks.plane import points as plane
from benchmarks.plane.point import PlaneResults
from benchmarks.updates import report as updates

PART = GeneratedPart("python -m benchmarks.cost_results")
FROM_PAGE = "../benchmarks/results"  # as docs/results.md links them
OWN_LINK = re.compile(r"\]\((?=[\w-]+\.(?:md|png)\))")  # of a file of results to another

Results = TypeVar("Results")


@dataclass(frozen=True, slots=True)
class Section(Generic[Results]):
    """A benchmark on the page."""

    name: str  # of its file
    title: str
    results: type[Results]  # what its file holds
    body: Callable[[Results], str]  # of its figures
    picture: Callable[[Results], Figure] | None = None  # of its figures, beside its file

    def text(self, folder: Path) -> str:
        """The section's text on the page; empty if its file does not exist."""
        path = folder / f"{self.name}.json"
        if not path.is_file():
            return ""
        body = OWN_LINK.sub(f"]({FROM_PAGE}/", self.body(read_results(path, self.results))).strip()
        if self.picture:
            body = f"![{self.title}]({FROM_PAGE}/{self.name}.png)\n\n{body}"
        return f"### {self.title}\n\n{body}\n\n{made(self.name, path)}"

    def draw(self, folder: Path) -> None:
        """Draws the section's picture, next to its file, if it has both."""
        path = folder / f"{self.name}.json"
        if self.picture and path.is_file():
            save(self.picture(read_results(path, self.results)), path.with_suffix(".png"))


def main() -> None:
    """Write docs/results.md's part on cost, and its pictures, from the committed results."""
    for section in SECTIONS:
        section.draw(RESULTS)
    typer.echo(f"written: {PART.put(PAGE, sections(RESULTS))}")


def sections(folder: Path) -> str:
    """Makes all sections whose file exists."""
    return "\n\n".join(text for section in SECTIONS if (text := section.text(folder)))


def made(name: str, path: Path) -> str:
    """Says which command made it, and where the whole result is."""
    machine = made_on(path)
    return (
        f"[{name}]({FROM_PAGE}/{name}.md): {machine['processor']}, {machine['cores']} cores, "
        f"load average {machine['load_average']:g} when it was written, {machine['date'][:10]}."
    )


def latencies(results: Latencies) -> str:
    """Measured latencies, next to those that makers of decision models publish."""
    rows = [
        [way, *(f"{time:.3f}" for time in (found.p50, found.p95, found.p99))]
        for way, found in results.latency.items()
    ]
    for published in (LOCAL, HOSTED):
        low, high = published.p50_ms
        rows.append([f"{published.name} (published, not measured)", f"{low:g} to {high:g}", "", ""])
    return (
        f"One node a call; bundles of {results.settings.graph}. Teachers have "
        f"{results.settings.teacher_threads} threads, students one. What decision models take is "
        "what their makers publish, of questions of their own.\n\n"
        + markdown_table(["who answers, how, what", "p50 ms", "p95 ms", "p99 ms"], rows)
    )


def growth(results: scale.ScaleResults) -> str:
    return scale.report(results.sizes)


SECTIONS: tuple[Section[Any], ...] = (
    Section("latency", "One node", Latencies, latencies),
    Section("plane", "Accuracy over latency", PlaneResults, plane.report),
    Section("peers", "Beside what a person would serve instead", PeersResults, summary),
    Section("load", "Under load", load.LoadResults, load.report, load_picture),
    Section("scale", "Growth", scale.ScaleResults, growth, growth_picture),
    Section("updates", "Changes of edges", updates.UpdatesResults, updates.markdown),
    Section(
        "updates_10",
        "Changes of edges, ten times the graph",
        updates.UpdatesResults,
        updates.markdown,
    ),
    Section("cost", "A million answers", cost.CostResults, cost.report),
)
