"""Tables of what every stage cost at each size, and estimates for other sizes.

The cost of a stage grows linearly with the graph: a constant, plus a cost per node with its edges.
Two sizes give both constants, and a third size shows whether the line holds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from benchmarks.common.results import markdown_table
from benchmarks.line_at_scale.records import Cost, Figure, Size, Sort, SortAgain, StageFigures

LEAST = 100_000  # nodes; below that, the constant hides the cost per node
SERVE = "serve"
LARGER = (10_000_000, 100_000_000, 1_000_000_000)  # nodes; estimated unless measured
FIGURES: tuple[Figure, ...] = ("processor_seconds", "peak_bytes", "disk_bytes")
UNITS: Mapping[Figure, tuple[float, int]] = {
    "processor_seconds": (1.0, 0),
    "peak_bytes": (1e9, 2),
    "disk_bytes": (1e9, 2),
}
HEADERS = ("processor s", "peak, GB", "on disk, GB")
REQUESTS: tuple[tuple[Sort, SortAgain, str], ...] = (
    ("stored", "stored again", "a stored node"),
    ("unseen", "unseen again", "an unseen one"),
    ("changes", "changes again", "a change"),
)

Sizes = Mapping[str, Size]


def report(sizes: Sizes) -> str:
    """Makes all tables."""
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


def shown(stage: Cost | StageFigures, figure: Figure) -> str:
    unit, digits = UNITS[figure]
    return f"{stage[figure] / unit:,.{digits}f}"


def requests_table(sizes: Sizes) -> str:
    """A table of request times, for the sizes that were served."""
    rows = []
    for size in sizes.values():
        served = size["stages"].get(SERVE)
        for sort, repeated, what in REQUESTS:
            if served is not None and sort in served:
                first, again = served[sort], served.get(repeated)
                median, least = (again["p50"], again.get("least")) if again else (None, None)
                times = (first["p50"], median, least, first["processor_ms"])
                cells = ("" if value is None else f"{value:.2f}" for value in times)
                rows.append([f"{size['nodes']:,}", what, *cells, gigabytes(served)])
    header = ("nodes", "asked", "median, ms", "again", "least", "processor, ms", "of no file, GB")
    return markdown_table(header, rows)


def gigabytes(served: StageFigures) -> str:
    return f"{served['anonymous_bytes'] / 1e9:.2f}"


def constants(sizes: Sizes) -> str:
    """A table of the cost per node with its edges; empty with fewer than two sizes."""
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
    """A table that compares each size with the line through the two sizes before it.

    It has the expected cost of a stage, the measured one, and their ratio; it is empty with fewer
    than three sizes.
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
    """A table that compares what `understudy plan` estimated with what was measured."""
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


def compared(figure: Figure, expected: float, measured: float) -> Iterator[str]:
    """Formats both figures, and the measured one divided by the expected one."""
    unit, digits = UNITS[figure]
    yield from (f"{value / unit:,.{digits}f}" for value in (expected, measured))
    yield f"{measured / expected:.2f}" if expected > 0 else ""


def own_stages(stages: Iterable[str]) -> list[str]:
    """Leaves out stages that were measured with the code of another checkout."""
    return [name for name in stages if " at " not in name]


def sizes_with(sizes: Sizes, stage: str) -> Sizes:
    """The sizes at which a stage was measured."""
    return {name: size for name, size in sizes.items() if stage in size["stages"]}


def extrapolated(sizes: Sizes, stage: str, figure: Figure, nodes: int) -> float:
    """Estimates a stage's figure at another size, by the line through the two largest known sizes.

    The number of edges grows with the number of nodes. Sorting grows faster than linearly, but is a
    small part of every stage.
    """
    (small, low), (large, high) = (
        (size["nodes"], size["stages"][stage][figure]) for size in list(sizes.values())[-2:]
    )
    return float(low + (high - low) * (nodes - small) / (large - small))


def extrapolations(sizes: Sizes) -> str:
    """A table of estimates for larger sizes; empty with fewer than two sizes of at least LEAST."""
    sizes = {name: size for name, size in sizes.items() if size["nodes"] >= LEAST}
    largest = max((size["nodes"] for size in sizes.values()), default=0)
    rows = []
    for nodes in (count for count in LARGER if count > largest):
        for stage in dict.fromkeys(name for size in sizes.values() for name in size["stages"]):
            known = sizes_with(sizes, stage)
            if len(known) > 1 and stage in own_stages([stage]):
                seconds, memory, disk = (extrapolated(known, stage, f, nodes) for f in FIGURES)
                cost = Cost(processor_seconds=seconds, peak_bytes=memory, disk_bytes=disk)
                rows.append([f"{nodes:,}", stage, *(shown(cost, name) for name in FIGURES)])
    if not rows:
        return ""
    return (
        "\nNot measured, but on the straight line through the two largest sizes above, with as "
        "many edges a node and the same share of labels:\n\n"
        + markdown_table(("nodes", "stage", *HEADERS), rows)
    )
