"""Checks whether runs of some splits on another machine agree with the committed ones.

    python -m benchmarks.accuracy WORK GRAPH --splits 1 --no-write [as the committed ones were made]
    python -m benchmarks.agreement WORK/GRAPH-LABELS-PART [--like NAME]

Each combination of features, network and recipe is compared in two ways: with the same split of
the committed runs, which has the same nodes and initial weights, but other dropout and rounding;
and with the interval that contains a further split with probability 95% (Student's t:
mean ± t s √(1 + 1/n)).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy import stats

from benchmarks.accuracy.page import FOLDER
from benchmarks.common.command import run_script
from benchmarks.common.results import markdown_table, publish_results
from benchmarks.errors import BenchmarkError
from training.evaluation.rows import RUNS_FILE, Row, read_rows
from training.evaluation.tables import ENCODERS, STUDENTS

COVERED = 0.95
Key = tuple[str, str, str]  # encoder, student, recipe


@dataclass(frozen=True, slots=True)
class WayResult:
    """One combination of features, network and recipe; accuracies in percent, by split."""

    way: Key
    here: dict[int, float]
    there: dict[int, float]
    interval: tuple[float, float]  # in which one more split falls with COVERED
    within: int  # accuracies of here that lie in it


@dataclass(frozen=True, slots=True)
class AgreementResults:
    """The content of results/agreement_NAME.json."""

    name: str
    splits: list[int]
    machines: tuple[str, str]  # here, there
    ways: list[WayResult]


def main(
    folder: Annotated[Path, typer.Argument(help="An evaluation that benchmarks.accuracy made.")],
    committed: Annotated[Path, typer.Option(help="Folder of those to compare with.")] = FOLDER,
    like: Annotated[str, typer.Option(help="The one of them, if its name is another.")] = "",
) -> None:
    """Compare, print and write results/agreement_NAME.json and .md."""
    there = committed / (like or folder.name)
    own, others = (read_rows(place / RUNS_FILE) for place in (folder, there))
    if own.facts["graph_hash"] != others.facts["graph_hash"]:
        raise BenchmarkError(f"{folder} is of another graph than {there}")
    ways = [compared(key, own.rows, others.rows) for key in keys_of(own.rows)]
    splits = sorted({row.split for row in own.rows})
    machines = machine(own.rows), machine(others.rows)
    results = AgreementResults(folder.name, splits, machines, ways)
    text = report(results)
    publish_results(f"agreement_{folder.name}", results, text)


def keys_of(rows: Sequence[Row]) -> list[Key]:
    return list(dict.fromkeys((row.encoder, row.student, row.recipe) for row in rows))


def accuracies(rows: Sequence[Row], key: Key) -> dict[int, float]:
    """Accuracies in percent, by split, averaged over initialisations."""
    own = [row for row in rows if (row.encoder, row.student, row.recipe) == key]
    splits = sorted({row.split for row in own})
    return {
        split: 100 * float(np.mean([row.test_accuracy for row in own if row.split == split]))
        for split in splits
    }


def compared(key: Key, rows: Sequence[Row], others: Sequence[Row]) -> WayResult:
    """Compares one combination here and there, and counts the splits within the interval.

    Raises:
        BenchmarkError: the committed runs have too few splits, or not these.
    """
    own, committed = accuracies(rows, key), accuracies(others, key)
    if len(committed) < 3 or not own.keys() <= committed.keys():
        raise BenchmarkError(f"the committed runs of {' '.join(key)} are not of these splits")
    values = np.array(list(committed.values()))
    reach = float(stats.t.ppf((1 + COVERED) / 2, len(values) - 1) * values.std(ddof=1))
    reach *= math.sqrt(1 + 1 / len(values))
    low, high = float(values.mean()) - reach, float(values.mean()) + reach
    return WayResult(
        way=key,
        here={split: round(value, 2) for split, value in own.items()},
        there={split: round(committed[split], 2) for split in own},
        interval=(round(low, 2), round(high, 2)),
        within=sum(low <= value <= high for value in own.values()),
    )


def machine(rows: Sequence[Row]) -> str:
    return "; ".join(sorted({f"{row.processor} ({row.versions})" for row in rows}))


def report(results: AgreementResults) -> str:
    """Reports how many splits agree, by how much equal splits differ, and each combination."""
    ways = results.ways
    apart = [here - way.there[split] for way in ways for split, here in way.here.items()]
    rows = [
        [
            ENCODERS[way.way[0]],
            STUDENTS[way.way[1]],
            way.way[2],
            ", ".join(f"{value:.1f}" for value in way.here.values()),
            ", ".join(f"{value:.1f}" for value in way.there.values()),
            "{:.1f} to {:.1f}".format(*way.interval),
            f"{way.within} of {len(way.here)}",
        ]
        for way in ways
    ]
    within = sum(way.within for way in ways)
    head = ["features", "network", "recipe", "here", "the same split there", "one more", "within"]
    here, there = results.machines
    return (
        f"{results.name}, split {', '.join(map(str, results.splits))}. Here: {here}. "
        f"There: {there}.\n\n{within} of {len(apart)} accuracies are within the interval of one "
        f"more split, which {COVERED:.0%} are to be, were both machines alike; of the same splits "
        f"they differ by {np.mean(apart):+.2f} points in the mean, {np.abs(apart).mean():.2f} in "
        f"size.\n\n{markdown_table(head, rows)}"
    )


if __name__ == "__main__":
    run_script(main)
