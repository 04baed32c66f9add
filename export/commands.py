"""This room on the command line."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from export.build import ExportOptions, export_bundle
from graph.progress import terminal_progress


def export(
    student: Annotated[Path, typer.Argument(help="Student folder, see `understudy distill`.")],
    bundle: Annotated[Path, typer.Argument(help="Bundle folder to write.")],
    graph: Annotated[
        Path | None, typer.Option(help="The student's graph folder, where it was moved.")
    ] = None,
    encoder_path: Annotated[
        Path | None, typer.Option(help="MiniLM's folder, where it is not installed.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Model name in answers.")] = None,
) -> None:
    """Turn a trained student and its graph into a bundle, proven equal to what was trained."""
    options = ExportOptions(graph, encoder_path, name)
    with terminal_progress() as progress:
        manifest = export_bundle(student, bundle, options, progress)
    table = Table(title=f"{bundle}: {manifest.name} {manifest.version}", show_header=False)
    size = sum(entry.bytes for entry in manifest.files.values())
    table.add_row("files", f"{len(manifest.files)}, {size / 1e6:.1f} MB")
    table.add_row("nodes, edges", f"{manifest.graph.nodes:,}, {manifest.graph.edges:,}")
    table.add_row("text encoder", f"{manifest.encoder.kind} ({manifest.encoder.name})")
    for check, difference in manifest.parity.items():
        table.add_row(f"parity: {check}", f"{difference:.1e}")
    Console().print(table)
