"""The engine: changes against full computation, answers against bare numpy, start, and growth.

    python -m benchmarks.engine SAGE_BUNDLE OTHER_BUNDLE... --scale FOLDER

The bundles are of one graph, one a kind of student, made by `understudy export`. With --scale,
synthetic graphs of 10,000, 100,000 and 1 million nodes are drawn into that folder, unless they are
there, and measured too; the largest takes some 6 GB of memory and a few minutes.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.common.random_bundle import make_bundle
from benchmarks.common.results import markdown_table, write_results
from benchmarks.engine.changes import largest_difference, measure_changes
from benchmarks.engine.growth import measure_in_own_process
from benchmarks.engine.reads import measure_lookup, measure_start, measure_unseen
from understudy.bundle import open_bundle
from understudy.engine.engine import Engine

SIZES = (10_000, 100_000, 1_000_000)
CHANGES = {
    "edge": "an edge between ordinary nodes",
    "node": "a node with 5 edges",
    "hub edge": "an edge of the largest hub",
    "batch": "1,000 edges in a batch",
}


def main(
    bundles: Annotated[list[Path], typer.Argument(help="Bundles of one graph, one a kind.")],
    scale: Annotated[Path | None, typer.Option(help="Folder for the synthetic graphs.")] = None,
) -> None:
    """Measure, print and write results/engine.json."""
    results: dict[str, Any] = {"start": measure_start(bundles[0]), "kinds": {}}
    for folder in bundles:
        kind = open_bundle(folder, verify=False).manifest.student.kind
        results["kinds"][kind] = measure_kind(folder)
        typer.echo(kind)
    if scale is not None:
        results["scale"] = []
        for nodes in SIZES:
            folder = make_bundle(scale / f"synthetic-{nodes}", nodes)
            results["scale"].append(measure_in_own_process(folder))
            typer.echo(f"{nodes:,} nodes")
    report = markdown(results)
    write_results("engine", results, report)
    typer.echo(report)


def measure_kind(folder: Path) -> dict[str, Any]:
    with Engine.open(folder) as engine:
        found = {
            "nodes": engine.state.graph.num_nodes,
            "edges": engine.state.graph.num_edges,
            "lookup": measure_lookup(engine),
            "unseen": measure_unseen(engine),
            "changes": measure_changes(engine),
        }
        found["difference"] = largest_difference(engine)
    return found


def markdown(results: dict[str, Any]) -> str:
    parts = [changes_table(results["kinds"]), reads_table(results["kinds"])]
    parts.append(start_table(results["start"]))
    if "scale" in results:
        parts.append(scale_table(results["scale"]))
    return "\n".join(parts)


def changes_table(kinds: dict[str, Any]) -> str:
    first = next(iter(kinds.values()))
    rows = []
    for kind, found in kinds.items():
        changes = found["changes"]
        for name, words in CHANGES.items():
            cells = changes[name]
            rows.append(
                [
                    kind,
                    words,
                    f"{cells['milliseconds']:.2f}",
                    f"{cells['longest_milliseconds']:.0f}",
                    f"{cells['rows']:,.0f}",
                    f"{cells['times_faster']:,.0f}",
                ]
            )
        rows.append(
            [kind, "everything again", f"{changes['full']['milliseconds']:.0f}", "", "", "1"]
        )
    differences = ", ".join(f"{kind} {found['difference']:.1e}" for kind, found in kinds.items())
    return (
        f"Changes of a graph of {first['nodes']:,} nodes and {first['edges']:,} edges, one thread; "
        f"the largest hub has {first['changes']['hub_degree']:,} neighbours. `Everything again` "
        "computes all layers of all nodes from the same h0.\n\n"
        + markdown_table(
            ["student", "change", "median, ms", "longest, ms", "rows computed", "times faster"],
            rows,
        )
        + f"\nLargest difference of a logit to a full computation afterwards: {differences}.\n"
    )


def reads_table(kinds: dict[str, Any]) -> str:
    rows = []
    for kind, found in kinds.items():
        for name, group in (("256 stored nodes", "lookup"), ("one unseen node", "unseen")):
            bare = next(iter(found[group].values()))
            for work, microseconds in found[group].items():
                ratio = f"{microseconds / bare:.2f}"
                rows.append([kind, name, work, f"{microseconds:.1f}", ratio])
    header = ["student", "asked", "how", "median, µs", "times bare"]
    return "Answers, in process, one thread:\n\n" + markdown_table(header, rows)


def start_table(start: dict[str, float]) -> str:
    rows = [[name, f"{value:.3f}"] for name, value in start.items()]
    return "Start, the disk's cache dropped before each:\n\n" + markdown_table(
        ["what", "seconds"], rows
    )


def scale_table(sizes: list[dict[str, Any]]) -> str:
    rows = []
    for found in sizes:
        changes, start = found["changes"], found["start"]
        rows.append(
            [
                f"{found['nodes']:,}",
                f"{found['edges']:,}",
                f"{start['cold start to ready']:.2f} ({start['bar']:.2f})",
                f"{found['peak gigabytes']:.2f}",
                f"{found['array bytes a node']:.0f} + {found['further bytes a node']:.0f}",
                *(f"{changes[name]['milliseconds']:.2f}" for name in CHANGES),
                f"{changes['full']['milliseconds']:.0f}",
            ]
        )
    header = [
        "nodes",
        "edges",
        "cold start, s (bar)",
        "peak, GB",
        "bytes a node: arrays + others",
        *(f"{name}, ms" for name in CHANGES),
        "everything again, ms",
    ]
    return "Growth, a random GraphSAGE of width 64 on synthetic graphs:\n\n" + markdown_table(
        header, rows
    )
