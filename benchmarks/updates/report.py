"""The tables of results/updates.md, and the content of results/updates.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from benchmarks.common.results import markdown_table

STORED = "A batch is visible, with every activation that it touches, before the next one begins."
LEFT = (
    "A batch is visible before the next one begins, with every activation that layers read; where "
    "many nodes need the last layer, it is left to whoever asks for their answers, or to the next "
    "pause (nodes left: after a batch). Settled: all of them are computed after every batch, too."
)


# The figures of one batch size; the keys are those of the file. Older files lack the last two.
BatchFigures = TypedDict(
    "BatchFigures",
    {
        "a processor second": float,  # changes
        "a wall second": float,  # changes
        "rows an update": float,
        "nodes left": NotRequired[float],  # whose logits are not computed after a batch
        "settled": NotRequired[float],  # changes a processor second, all logits computed
    },
)
# The figures of one engine over all batch sizes.
EngineFigures = TypedDict(
    "EngineFigures",
    {
        "megabytes opened": float,
        "difference": float,  # the largest between a logit and a full computation
        "megabytes": float,
        "reads": NotRequired[dict[str, float]],  # median microseconds of a look-up
        "batches": dict[str, BatchFigures],  # by their size
    },
)
Engines = Mapping[str, EngineFigures]  # "this", and "other" if another checkout was measured


@dataclass(frozen=True, slots=True)
class UpdatesResults:
    """The content of results/updates.json."""

    nodes: int
    edges: int
    hidden: int
    kinds: dict[str, dict[str, EngineFigures]]  # by kind of student, then as `Engines`
    against: str | None = None  # the other checkout's commit


def markdown(results: UpdatesResults) -> str:
    kinds = results.kinds
    cells = next(iter(next(iter(kinds.values()))["this"]["batches"].values()))
    leaves = "settled" in cells  # older results lack these figures
    text = (
        f"Changes of edges a second, half of them additions and half removals, drawn evenly, on a "
        f"synthetic graph of {results.nodes:,} nodes and {results.edges:,} edges, as many as "
        f"ogbn-arxiv has or a multiple; random students of 2 layers of width {results.hidden}; "
        f"one thread, the log in memory. {LEFT if leaves else STORED} A processor second leaves "
        "out the time in which other programs of the machine ran.\n\n"
        + batches(results, leaves)
        + "\n"
    )
    if leaves:
        text += looked_up(kinds) + "\n"
    return text + exactness(kinds)


def batches(results: UpdatesResults, leaves: bool) -> str:
    """A table of the cost of changes, by student and batch size."""
    rows = []
    for kind, found in results.kinds.items():
        for batch, cells in found["this"]["batches"].items():
            row = [
                kind,
                f"{int(batch):,}",
                f"{cells['a processor second']:,.0f}",
                f"{cells['a wall second']:,.0f}",
                f"{cells['rows an update']:,.0f}",
            ]
            other = found["other"]["batches"][batch] if "other" in found else None
            if other:
                row += compared(cells["a processor second"], other["a processor second"])
            if leaves:
                row += [f"{cells['nodes left']:,.0f}", f"{cells['settled']:,.0f}"]
            if leaves and other:
                row += compared(cells["settled"], other["settled"])
            rows.append(row)
    header = ["student", "batch", "a processor second", "a wall second", "rows an update"]
    against = "other" in next(iter(results.kinds.values()))
    before = f"before ({results.against})" if results.against else "before"
    if against:
        header += [f"{before}: a processor second", "times"]
    if leaves:
        header += ["nodes left", "settled: a processor second"]
    if leaves and against:
        header += [f"{before}, settled", "times"]
    return markdown_table(header, rows)


def compared(own: float, other: float) -> list[str]:
    """Formats the other figure, and this one divided by it."""
    return [f"{other:,.0f}", f"{own / other:.1f}"]


def looked_up(kinds: Mapping[str, Engines]) -> str:
    """A table of look-up times, for stored logits and for those that must be computed first."""
    rows = []
    for kind, found in kinds.items():
        reads = found["this"]["reads"]
        cells = [f"{reads[name]:.1f}" if name in reads else "" for name in ("stored", "left")]
        rows.append([kind, *cells])
    header = ["student", "one node's logits, stored: microseconds, median", "left: microseconds"]
    return markdown_table(header, rows)


def exactness(kinds: Mapping[str, Engines]) -> str:
    """A table of the largest difference from a full computation, and of the memory."""
    return (
        markdown_table(
            ["student", "largest difference to a full computation", "MB opened", "MB in the end"],
            [
                [
                    kind if name == "this" else f"{kind}, before",
                    f"{cells['difference']:.1e}",
                    f"{cells['megabytes opened']:.0f}",
                    f"{cells['megabytes']:.0f}",
                ]
                for kind, found in kinds.items()
                for name, cells in found.items()
            ],
        )
        + "\nMB of memory that no file backs; the pages of activations that were written to are "
        "part of it, the sums that are kept, and the list of edges that changes are drawn from.\n"
    )
