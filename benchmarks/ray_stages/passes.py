"""Runs export and predict once per way of `benchmarks.ray_stages`, and reports the results."""

import hashlib
import json
import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.common.results import markdown_table
from benchmarks.ray_stages.ways import ALONE, ONE, TWO, Figures, Place, folder_name, killing
from export.bundle import export_bundle
from export.options import ExportOptions
from export.student.activations import STAGE as COMPUTING
from training.config import DistillOptions
from training.distill import distill
from understudy.engine import Engine
from understudy.graph import TextGraph, load_graph
from understudy.graph.files import cache_folder, file_digest
from understudy.predict.answering import Answerer, InProcess
from understudy.predict.formats import Format
from understudy.predict.output import open_parts
from understudy.predict.run import STAGE as ASKING
from understudy.predict.run import Problems, Run
from understudy.predict.sources import TableOptions, read_rows
from understudy.progress import silent

EXPORTER, ANSWERER = "ray::RangeWorker", "ray::AnsweringWorker"  # names of the processes
LINES = Format("jsonl")
MOST_NEIGHBORS = 10  # named with a text
STUDENT, BUNDLE, ROWS, CACHE = "student", "bundle", "rows.jsonl", "prepared.cache"


@dataclass(frozen=True, slots=True)
class PassResults:
    """The content of results/ray_export_….json and ray_predict_….json."""

    ratio: float  # seconds of two workers, divided by those of one
    seconds: dict[str, float]  # by way
    equal_by_workers: bool  # all ways with workers give the same bytes
    equal: bool  # all ways do, including the one without Ray
    largest_difference: float  # between activations with and without Ray


def prepare(home: Path, options: DistillOptions, texts: int = 0) -> None:
    """Trains a student; with `texts`, also exports it and writes that many texts with neighbours.

    Texts are embedded here, once for all ways.
    """
    (home / CACHE).mkdir()
    os.environ["UNDERSTUDY_CACHE"] = str(home / CACHE)
    distill(home / "graph", home / STUDENT, options)
    if not texts:
        return
    export_bundle(home / STUDENT, home / BUNDLE, ExportOptions())
    write_texts(load_graph(home / "graph"), texts, home / ROWS)


def write_texts(graph: TextGraph, count: int, path: Path) -> None:
    """Writes the texts of the first nodes, each with the ids of some neighbours, as JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        for node in range(min(count, graph.num_nodes)):
            names = graph.ids.take(graph.adjacency.neighbors(node)[:MOST_NEIGHBORS]).to_pylist()
            row = {"text": graph.texts[node].as_py(), "neighbors": names}
            file.write(json.dumps(row) + "\n")


def exported(place: Place) -> Figures:
    """Exports the student once; in a way that kills, one worker is killed while it computes."""
    home = place.graph.parent
    shutil.copytree(home / CACHE, cache_folder(), dirs_exist_ok=True)
    elsewhere = None
    if place.cluster is not None:
        from export.cluster.sharing import shared_passes

        elsewhere = partial(shared_passes, place.cluster)
    progress = killing(EXPORTER, COMPUTING) if place.way.killed else silent
    started = time.perf_counter()
    export_bundle(home / STUDENT, place.out, ExportOptions(), progress, elsewhere=elsewhere)
    seconds = time.perf_counter() - started
    tables = sorted((place.out / "activations").iterdir())
    answers = hashlib.sha256("".join(map(file_digest, tables)).encode()).hexdigest()
    alone = home / folder_name(ALONE) / "activations"
    differences = [largest_difference(table, alone / table.name) for table in tables]
    return Figures(seconds, answers, max(differences))


def largest_difference(one: Path, other: Path) -> float:
    return float(np.abs(np.load(one) - np.load(other)).max())


def predicted(place: Place) -> Figures:
    """Answers all rows once; in a way that kills, one worker is killed meanwhile."""
    home, out = place.graph.parent, place.out.with_suffix(".jsonl")
    progress = killing(ANSWERER, ASKING) if place.way.killed else silent
    started = time.perf_counter()
    with ExitStack() as stack:
        engine = stack.enter_context(Engine.open(home / BUNDLE))
        answerer: Answerer = InProcess(engine)
        if place.cluster is not None:
            from understudy.predict.sharing import shared_answers

            shared = shared_answers(place.cluster, home / BUNDLE, engine, "cpu")
            answerer = stack.enter_context(shared)
        rows = list(read_rows(home / ROWS, LINES, TableOptions(), silent_words))
        run = Run(answerer, 1, Problems(True, silent_words), progress, len(rows))
        done = 0
        with open_parts(out, LINES, False, (place.way.name,)) as parts:
            for part in run.parts(rows):
                parts.add(done, part)
                done += len(part)
            parts.finish()
    return Figures(time.perf_counter() - started, file_digest(out))


def silent_words(words: str) -> None:
    """Discards a message."""


def pass_results(found: dict[str, Figures]) -> PassResults:
    """Summarises the figures of all ways, as they are committed."""
    one, two = found[ONE.name], found[TWO.name]
    by_workers = [own for name, own in found.items() if name != ALONE.name]
    return PassResults(
        ratio=round(two.seconds / one.seconds, 3),
        seconds={name: round(own.seconds, 1) for name, own in found.items()},
        equal_by_workers=len({own.answers for own in by_workers}) == 1,
        equal=len({own.answers for own in found.values()}) == 1,
        largest_difference=max(own.difference for own in by_workers),
    )


def pass_report(found: dict[str, Figures], title: str) -> str:
    values = pass_results(found)
    rows = [[name, f"{seconds:.1f}"] for name, seconds in values.seconds.items()]
    same = "the same bytes" if values.equal_by_workers else "OTHER bytes"
    alone = "the same" if values.equal else "not the same"
    if values.largest_difference:
        alone += f", with a largest difference of {values.largest_difference:.0e}"
    return (
        f"{title}.\n\n{markdown_table(['', 'seconds'], rows)}\nTwo workers take "
        f"{values.ratio:.2f} of one's time. One worker, two, and two of which one is killed "
        f"give {same}; those without Ray are {alone}.\n"
    )
