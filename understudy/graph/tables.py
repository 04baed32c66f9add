"""Prints a graph's figures as tables on the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from understudy.command_line.next_step import command
from understudy.counting import counted
from understudy.graph.building.builder import Built
from understudy.graph.building.reading import Reading
from understudy.graph.building.repairs import Repair
from understudy.graph.describe import describe


def show_import(built: Built, out: Path) -> None:
    """Prints the result of an import: figures, columns used, and repairs."""
    figures = describe(built.graph)
    console = Console()

    def line(text: str) -> None:
        console.print(text, soft_wrap=True, markup=False, highlight=False)

    console.print(f"[bold]{escape(str(out))}[/bold]: {one_line(figures)}", soft_wrap=True)
    splits = ", ".join(f"{name} {size:,}" for name, size in figures["splits"].items())
    drawn = "random split" if built.random_split else "split as given"
    line(f"{drawn}: {splits}" if splits else "no labels, so no split")
    for reading in reading_lines(built.graph.reading):
        line(f"  {reading}")
    if built.repairs:
        line("repaired or dropped:")
    for repair in built.repairs:
        line(f"  {repair}")
    for remark in built.remarks:
        line(f"note: {remark}")
    line(f"more: {command('data', 'describe', out)}")


def reading_lines(reading: Mapping[str, Any]) -> list[str]:
    """The used and unread columns of each file, and the origin of the split."""
    split = [f"split: {reading['split']}"] if reading.get("split") else []
    return [*split, *(str(Reading(**file)) for file in reading.get("files", ()))]


def one_line(figures: dict[str, Any]) -> str:
    homophily = figures["edge_homophily"]
    same = "" if homophily is None else f", {homophily:.0%} of edges join equal labels"
    return (
        f"{counted(figures['nodes'], 'node')}, {counted(figures['edges'], 'edge')}, "
        f"{counted(len(figures['classes']), 'class', 'classes')}{same}"
    )


def show_graph(figures: dict[str, Any]) -> None:
    """Prints the figures of `describe`."""
    console = Console()
    console.print(summary_table(figures))
    if figures["classes"]:
        console.print(class_table(figures))


def summary_table(figures: dict[str, Any]) -> Table:
    table = Table(title=escape(figures["name"]), show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    degree, homophily = figures["degree"], figures["edge_homophily"]
    rows = {
        "source": escape(figures["source"]),
        "nodes": f"{figures['nodes']:,} ({figures['labeled']:,} labelled)",
        "edges": f"{figures['edges']:,}",
        "degree": f"min {degree['min']}, median {degree['median']:g}, "
        f"mean {degree['mean']:.2f}, max {degree['max']:,}",
        "isolated nodes": f"{figures['isolated_nodes']:,}",
        "connected components": f"{figures['components']:,} "
        f"(largest {counted(figures['largest_component'], 'node')})",
        "edge homophily": "unknown: no labelled edge" if homophily is None else f"{homophily:.3f}",
        "text, characters": ", ".join(
            f"{name} {length:,}" for name, length in figures["text_characters"].items()
        ),
        "groups": "" if figures["groups"] is None else f"{figures['groups']:,}",
        "splits": ", ".join(f"{name} {size:,}" for name, size in figures["splits"].items()),
        "notes": "\n".join(str(Repair(kind, count)) for kind, count in figures["notes"].items()),
        "read": escape("\n".join(reading_lines(figures["reading"]))),
        "content hash": figures["content_hash"][:16],
        "lineage": f"{figures['lineage']['id'][:16]}, position {figures['lineage']['position']:,}",
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, value)
    return table


def class_table(figures: dict[str, Any]) -> Table:
    table = Table(title="classes", title_justify="left")
    table.add_column("label")
    columns = ("nodes", *figures["splits"])
    for column in columns:
        table.add_column(column, justify="right")
    for row in figures["classes"]:
        table.add_row(escape(row["label"]), *(f"{row[column]:,}" for column in columns))
    return table
