"""What the line took at each size, in tables; and what that says of sizes beside and beyond them.

A stage's cost is a straight line in the size of the graph: what a process takes whatever it reads,
and so much a node with its edges. Two sizes give both constants of it, and a third one tells
whether that holds.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.common.results import markdown_table

LEAST = 100_000  # nodes; of fewer, what every process takes hides what a node does
SERVE = "serve"
LARGER = (10_000_000, 100_000_000, 1_000_000_000)  # nodes, told of where they were not measured
FIGURES = ("processor_seconds", "peak_bytes", "disk_bytes")
UNITS = {"processor_seconds": (1.0, 0), "peak_bytes": (1e9, 2), "disk_bytes": (1e9, 2)}
HEADERS = ("processor s", "peak, GB", "on disk, GB")
REQUEST_TITLES = {"stored": "a stored node", "unseen": "an unseen one", "changes": "a change"}

Sizes = Mapping[str, Mapping[str, Any]]


def report(sizes: Sizes) -> str:
    """All tables."""
    return (
        "The whole line, each stage a process of its own; `serve` is until it is ready, and its "
        "memory holds pages of mapped files that are not its own.\n\n"
        + stages_table(sizes)
        + "\nThe service, one request after the other: the median of fifty; of the same fifty "
        "again, whose pages are in memory then, the median and the least; and the server's "
        "processor time of the first. Where others use the machine, a median is how long a request "
        "waits for a core, and the last two say what it takes.\n\n"
        + requests_table(sizes)
        + constants(sizes)
        + checks(sizes)
        + plans(sizes)
        + extrapolations(sizes)
    )


def stages_table(sizes: Sizes) -> str:
    rows = [
        [
            f"{size['nodes']:,}",
            f"{size['edges']:,}",
            name,
            f"{stage['seconds']:,.0f}",
            *(shown(stage, figure) for figure in FIGURES),
        ]
        for size in sizes.values()
        for name, stage in size["stages"].items()
    ]
    return markdown_table(("nodes", "edges", "stage", "seconds", *HEADERS), rows)


def shown(stage: Mapping[str, Any], figure: str) -> str:
    unit, digits = UNITS[figure]
    return f"{stage[figure] / unit:,.{digits}f}"


def requests_table(sizes: Sizes) -> str:
    """Of the sizes that were served."""
    rows = []
    for size in sizes.values():
        served = size["stages"].get(SERVE, {})
        for sort, what in REQUEST_TITLES.items():
            if sort in served:
                first, again = served[sort], served.get(f"{sort} again", {})
                times = (first["p50"], again.get("p50"), again.get("least"), first["processor_ms"])
                cells = ("" if value is None else f"{value:.2f}" for value in times)
                rows.append([f"{size['nodes']:,}", what, *cells, gigabytes(served)])
    header = ("nodes", "asked", "median, ms", "again", "least", "processor, ms", "of no file, GB")
    return markdown_table(header, rows)


def gigabytes(served: Mapping[str, Any]) -> str:
    return f"{served['anonymous_bytes'] / 1e9:.2f}"


def constants(sizes: Sizes) -> str:
    """What a node takes with its edges: the line's slope; empty where fewer than two are known."""
    rows = []
    for stage in dict.fromkeys(name for size in sizes.values() for name in size["stages"]):
        known = sizes_with(sizes, stage)
        if len(known) < 2 or stage not in own_stages([stage]):
            continue
        slopes = [
            extrapolated(known, stage, f, 1) - extrapolated(known, stage, f, 0) for f in FIGURES
        ]
        seconds, memory, disk = slopes
        rows.append([stage, f"{seconds * 1e6:,.1f}", f"{round(memory):,}", f"{round(disk):,}"])
    if not rows:
        return ""
    header = ("stage", "processor, µs a node", "peak, bytes a node", "on disk, bytes a node")
    return (
        "\nWhat a node with its edges takes, by the straight line through the two largest "
        "sizes:\n\n" + markdown_table(header, rows)
    )


def checks(sizes: Sizes) -> str:
    """Each size beside the straight line through the two sizes before it; empty with no third.

    What was expected of a stage, measured, and their ratio.
    """
    rows = []
    for size in list(sizes.values())[2:]:
        smaller = {name: other for name, other in sizes.items() if other["nodes"] < size["nodes"]}
        for stage in own_stages(size["stages"]):
            known = sizes_with(smaller, stage)
            if len(known) < 2:
                continue
            cells = [f"{size['nodes']:,}", stage]
            for figure in FIGURES:
                expected = extrapolated(known, stage, figure, size["nodes"])
                cells += compared(figure, expected, size["stages"][stage][figure])
            rows.append(cells)
    title = (
        "What the two sizes before a size say of it, by the straight line through them, and what "
        "it took"
    )
    return comparison(title, rows)


def plans(sizes: Sizes) -> str:
    """What `understudy plan` said of a size beside what it took; empty where it was not asked."""
    rows = [
        [
            f"{size['nodes']:,}",
            stage,
            *(
                cell
                for figure in FIGURES
                for cell in compared(figure, planned[figure], size["stages"][stage][figure])
            ),
        ]
        for size in sizes.values()
        for stage, planned in size.get("planned", {}).items()
        if stage in size["stages"]
    ]
    return comparison("What `understudy plan` said before, and what it took", rows)


def comparison(title: str, rows: Sequence[Sequence[str]]) -> str:
    """A table under its title; empty without rows."""
    if not rows:
        return ""
    header = [f"{name}, {what}" for name in HEADERS for what in ("expected", "measured", "ratio")]
    return f"\n{title}:\n\n" + markdown_table(("nodes", "stage", *header), rows)


def compared(figure: str, expected: float, measured: float) -> Iterator[str]:
    """Both, and what was measured by what was expected."""
    unit, digits = UNITS[figure]
    yield from (f"{value / unit:,.{digits}f}" for value in (expected, measured))
    yield f"{measured / expected:.2f}" if expected > 0 else ""


def own_stages(stages: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """The line's own, without what other code took."""
    return [name for name in stages if " at " not in name]


def sizes_with(sizes: Sizes, stage: str) -> Sizes:
    """The sizes at which a stage was measured."""
    return {name: size for name, size in sizes.items() if stage in size["stages"]}


def extrapolated(sizes: Sizes, stage: str, figure: str, nodes: int) -> float:
    """A stage's figure at another size: the straight line through the two largest that are known.

    Edges grow with nodes, so that lines hold for both; sorting, whose cost grows faster, is a small
    part of every stage.
    """
    (small, low), (large, high) = (
        (size["nodes"], size["stages"][stage][figure]) for size in list(sizes.values())[-2:]
    )
    return float(low + (high - low) * (nodes - small) / (large - small))


def extrapolations(sizes: Sizes) -> str:
    """A table of larger sizes; empty where fewer than two are known that tell of them."""
    sizes = {name: size for name, size in sizes.items() if size["nodes"] >= LEAST}
    largest = max((size["nodes"] for size in sizes.values()), default=0)
    rows = []
    for nodes in (count for count in LARGER if count > largest):
        for stage in dict.fromkeys(name for size in sizes.values() for name in size["stages"]):
            known = sizes_with(sizes, stage)
            if len(known) > 1 and stage in own_stages([stage]):
                figures = {name: extrapolated(known, stage, name, nodes) for name in FIGURES}
                rows.append([f"{nodes:,}", stage, *(shown(figures, name) for name in FIGURES)])
    if not rows:
        return ""
    return (
        "\nNot measured, but on the straight line through the two largest sizes above, with as "
        "many edges a node and the same share of labels:\n\n"
        + markdown_table(("nodes", "stage", *HEADERS), rows)
    )
