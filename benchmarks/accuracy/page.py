"""Writes the section on accuracy of docs/results.md from the committed runs."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common.generated_part import PAGE, GeneratedPart
from benchmarks.common.results import RESULTS
from benchmarks.errors import BenchmarkError
from training.evaluation.rows import RUNS_FILE, Record, Row, read_rows
from training.evaluation.tables import LABELS, sections, table, unseen_table
from understudy.counting import counted

FOLDER = RESULTS / "accuracy"
PART = GeneratedPart("python -m benchmarks.accuracy")
UNSEEN, SEEN = "-unseen", "-seen"  # ends of two names: without a fifth of test, and with it
OWN_SETTINGS = {"teacher", "withheld", "splits", "seeds", "split_kind"}  # that parts differ in

RUNS = ("runs", "splits", "initialisations of each", "date", "machine")

Records = Mapping[str, Record]  # by the name of their folder


def write_page(page: Path = PAGE, folder: Path = FOLDER) -> Path:
    """Puts the tables of all committed runs between the page's two marks.

    Raises:
        BenchmarkError: the page has no such marks; see `graph_section`.
        EvaluationError: a file of runs is damaged.
    """
    return PART.put(page, tables(committed(folder)))


def committed(folder: Path = FOLDER) -> dict[str, Record]:
    """Reads all committed evaluations with their runs, by name."""
    paths = sorted(folder.glob(f"*/{RUNS_FILE}"))
    return {path.parent.name: read_rows(path) for path in paths}


def tables(records: Records) -> str:
    """Makes a section for each graph."""
    graphs: dict[str, dict[str, Record]] = {}
    for name, record in records.items():
        graphs.setdefault(record.facts["graph"], {})[name] = record
    return "\n\n".join(part for graph in sorted(graphs) for part in graph_section(graphs[graph]))


def graph_section(records: Records) -> list[str]:
    """Makes the tables of one graph.

    Raises:
        BenchmarkError: its evaluations are not of the same graph, or of the same settings.
    """
    check_alike(records)
    facts = next(iter(records.values())).facts
    rows: list[Row] = []
    seen: list[Row] = []  # of students that stand beside those of unseen nodes alone
    for name, record in records.items():
        (seen if name.endswith(SEEN) else rows).extend(record.rows)
    return [
        f"## {facts['graph']}",
        f"{facts['nodes']:,} nodes, {facts['edges']:,} edges, {facts['classes']} classes.",
        *sections(rows),
        *unseen_sections(rows, seen),
        "### Runs",
        table(RUNS, (made(name, record) for name, record in records.items())),
    ]


def check_alike(records: Records) -> None:
    (first, record), *others = records.items()
    for name, other in others:
        if other.facts["graph_hash"] != record.facts["graph_hash"]:
            raise BenchmarkError(
                f"{first} and {name} are both of a graph named {other.facts['graph']!r}, and not "
                "of the same one; import one of them under another --name"
            )
        if settings(other) != settings(record):
            raise BenchmarkError(
                f"{first} and {name} train students by different settings, so their figures "
                "cannot stand in one table; run one of them again"
            )
    check_splits(records)


def check_splits(records: Records) -> None:
    """Checks that splits of one kind and number test the same nodes, or fewer with unseen ones."""
    tested: dict[tuple[str, int], tuple[str, tuple[int, bytes]]] = {}
    for name, record in records.items():
        if name.endswith(UNSEEN):
            continue
        for row in record.rows:
            key, nodes = (row.split_kind, row.split), (row.test, row.panel)
            first, others = tested.setdefault(key, (name, nodes))
            if nodes != others:
                raise BenchmarkError(
                    f"split {row.split} ({row.split_kind}) of {first} and of {name} test different "
                    "nodes, so they were drawn by two rules and cannot stand in one table; run one "
                    "of them again"
                )


def settings(record: Record) -> Mapping[str, Any]:
    options = record.facts["options"]
    return {name: value for name, value in options.items() if name not in OWN_SETTINGS}


def unseen_sections(rows: Sequence[Row], seen: Sequence[Row]) -> Iterable[str]:
    for kind, title in LABELS.items():
        own, others = ([row for row in part if row.split_kind == kind] for part in (rows, seen))
        if text := unseen_table(own, others):
            yield f"### {title}: nodes that are unseen"
            yield text


def made(name: str, record: Record) -> list[str]:
    """A row on where an evaluation's runs are, and how, when and where they were made."""
    options, rows = record.facts["options"], record.rows
    dates = sorted(row.date[:10] for row in rows)
    return [
        f"[{name}](../benchmarks/results/accuracy/{name}/report.md)",
        str(options["splits"]),
        str(options["seeds"]),
        dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}",
        "; ".join(sorted({f"{row.processor}, {counted(row.cores, 'core')}" for row in rows})),
    ]
