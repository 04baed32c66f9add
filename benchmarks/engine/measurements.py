"""Runs all measurements of the engine, and writes the results.

    python -m benchmarks.engine SAGE_BUNDLE OTHER_BUNDLE... --scale FOLDER

The bundles are of one graph, one a kind of student, made by `understudy export`. With --scale,
synthetic graphs of 10,000, 100,000 and 1 million nodes are drawn into that folder, unless they are
there, and measured too; the largest takes some 6 GB of memory and a few minutes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NotRequired, TypedDict

import typer

from benchmarks.common.random_bundle import make_bundle
from benchmarks.common.results import markdown_table, publish_results
from benchmarks.engine.changes import (
    ChangeCosts,
    ChangeName,
    largest_difference,
    measure_changes,
)
from benchmarks.engine.growth import SizeResult, measure_in_own_process
from benchmarks.engine.reads import measure_lookup, measure_start, measure_unseen
from understudy.bundle import open_bundle
from understudy.engine.engine import Engine

SIZES = (10_000, 100_000, 1_000_000)
CHANGES: Mapping[ChangeName, str] = {
    "edge": "an edge between ordinary nodes",
    "node": "a node with 5 edges",
    "hub edge": "an edge of the largest hub",
    "batch": "1,000 edges in a batch",
}


class KindResult(TypedDict):
    """The figures of one kind of student."""

    nodes: int
    edges: int
    lookup: dict[str, float]  # microseconds of 256 stored nodes, the bare work first
    unseen: dict[str, float]  # microseconds of one, the bare work first
    changes: ChangeCosts
    difference: float  # the largest of a logit to a full computation, after these changes


class EngineResults(TypedDict):
    """The content of results/engine.json."""

    start: dict[str, float]  # as `measure_start` has it
    kinds: dict[str, KindResult]
    scale: NotRequired[list[SizeResult]]


def main(
    bundles: Annotated[list[Path], typer.Argument(help="Bundles of one graph, one a kind.")],
    scale: Annotated[Path | None, typer.Option(help="Folder for the synthetic graphs.")] = None,
) -> None:
    """Measure, print and write results/engine.json."""
    results: EngineResults = {"start": measure_start(bundles[0]), "kinds": {}}
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
    publish_results("engine", results, report)


def measure_kind(folder: Path) -> KindResult:
    with Engine.open(folder) as engine:
        lookup, unseen = measure_lookup(engine), measure_unseen(engine)
        nodes, edges = engine.state.graph.num_nodes, engine.state.graph.num_edges
        return {
            "nodes": nodes,
            "edges": edges,
            "lookup": lookup,
            "unseen": unseen,
            "changes": measure_changes(engine),
            "difference": largest_difference(engine),
        }


def markdown(results: EngineResults) -> str:
    parts = [changes_table(results["kinds"]), reads_table(results["kinds"])]
    parts.append(start_table(results["start"]))
    if "scale" in results:
        parts.append(scale_table(results["scale"]))
    return "\n".join(parts)


def changes_table(kinds: dict[str, KindResult]) -> str:
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


def reads_table(kinds: dict[str, KindResult]) -> str:
    rows = []
    for kind, found in kinds.items():
        groups = ("256 stored nodes", found["lookup"]), ("one unseen node", found["unseen"])
        for name, group in groups:
            bare = next(iter(group.values()))
            for work, microseconds in group.items():
                ratio = f"{microseconds / bare:.2f}"
                rows.append([kind, name, work, f"{microseconds:.1f}", ratio])
    header = ["student", "asked", "how", "median, µs", "times bare"]
    return "Answers, in process, one thread:\n\n" + markdown_table(header, rows)


def start_table(start: dict[str, float]) -> str:
    rows = [[name, f"{value:.3f}"] for name, value in start.items()]
    return "Start, the disk's cache dropped before each:\n\n" + markdown_table(
        ["what", "seconds"], rows
    )


def scale_table(sizes: list[SizeResult]) -> str:
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
