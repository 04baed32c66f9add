"""The tables of results/updates.md."""

from collections.abc import Mapping
from typing import Any

from benchmarks.measure import markdown_table


def markdown(results: Mapping[str, Any]) -> str:
    rows = []
    for kind, found in results["kinds"].items():
        for batch, cells in found["this"]["batches"].items():
            row = [
                kind,
                f"{int(batch):,}",
                f"{cells['a processor second']:,.0f}",
                f"{cells['a wall second']:,.0f}",
                f"{cells['rows an update']:,.0f}",
            ]
            if "other" in found:
                other = found["other"]["batches"][batch]["a processor second"]
                row += [f"{other:,.0f}", f"{cells['a processor second'] / other:.1f}"]
            rows.append(row)
    header = ["student", "batch", "a processor second", "a wall second", "rows an update"]
    if "other" in next(iter(results["kinds"].values())):
        before = f"before ({results['against']})" if "against" in results else "before"
        header += [f"{before}: a processor second", "times"]
    return (
        f"Changes of edges a second, half of them additions and half removals, drawn evenly, on a "
        f"synthetic graph of {results['nodes']:,} nodes and {results['edges']:,} edges, as many as "
        f"ogbn-arxiv has or a multiple; random students of 2 layers of width {results['hidden']}; "
        "one thread, the log in memory. A batch is visible, with every activation that it touches, "
        "before the next one begins. A processor second leaves out the time in which other "
        "programs of the machine ran.\n\n"
        + markdown_table(header, rows)
        + "\n"
        + markdown_table(
            ["student", "largest difference to a full computation", "MB opened", "MB in the end"],
            [
                [
                    kind if name == "this" else f"{kind}, before",
                    f"{cells['difference']:.1e}",
                    f"{cells['megabytes opened']:.0f}",
                    f"{cells['megabytes']:.0f}",
                ]
                for kind, found in results["kinds"].items()
                for name, cells in found.items()
            ],
        )
        + "\nMB of memory that no file backs; the pages of activations that were written to are "
        "part of it, the sums that are kept, and the list of edges that changes are drawn from.\n"
    )
