"""The whole evaluation: splits, teachers, searches, runs, report; it resumes where it stopped."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.config import ENCODER_KINDS
from training.devices import found_device
from training.errors import EvaluationError
from training.evaluation.folder import EvaluationFolder
from training.evaluation.map import write_map
from training.evaluation.plan import EvaluationOptions, keys_of, run_keys
from training.evaluation.processes import run_apart
from training.evaluation.report import write_report
from training.evaluation.rows import RUNS_FILE, Row, read_rows, row_of, write_rows
from training.evaluation.run import Finish
from training.evaluation.splits import OWN, split_graph
from training.losses.objectives import MAKERS
from training.recipes import COMBINED, RECIPES
from training.student.network import STUDENTS
from training.teacher.defaults import model_folder
from understudy.folders import check_output, reserved
from understudy.folders.kinds import EVALUATION
from understudy.graph import TextGraph, load_graph, read_meta
from understudy.graph.errors import UntrainableError
from understudy.graph.files import write_json
from understudy.graph.progress import Progress, silent
from understudy.graph.splits import labeled_nodes
from understudy.graph.trainable import check_classes, check_trainable


def evaluate(
    graph_folder: Path,
    out: Path,
    options: EvaluationOptions,
    progress: Progress = silent,
    processes: int = 1,
    finish: Finish | None = None,
) -> Path:
    """Runs what is missing in `out`, then writes runs.parquet, and of it the summary, plots and
    report, on all that it holds.

    Args:
        processes: among which the splits are shared out.
        finish: measures every trained student in further ways; found by its module and name in
            other processes.

    Returns:
        The report's path.

    Raises:
        EvaluationError: `out` holds runs of other settings.
        FolderError: `out` is no evaluation, or cannot be written.
        GraphError, TrainingError: see `understudy.graph.errors` and `training.errors`.
    """
    check_output(out, EVALUATION, [graph_folder, *model_folder(options.teacher.teacher)])
    found_device(options.training.device)  # or an error, before any work
    with reserved(out):
        graph = load_graph(graph_folder)
        check_splits(graph, options)
        check_plan(out, graph, options)
        evaluation = EvaluationFolder(graph, out, options, progress, finish)
        keys = list(run_keys(options))
        if processes > 1:
            run_apart(evaluation, graph_folder, processes)
        evaluation.run_missing(keys)
        if COMBINED in options.recipes:
            write_map(out, evaluation.inputs(replace(keys[0], recipe=COMBINED)), options)
        results = whole_sets(out, options)
        rows = [row_of(result, graph, options.split_kind) for result in results]
        write_rows(out / RUNS_FILE, rows, facts(evaluation, rows))
        return write_report(out, results)


def facts(evaluation: EvaluationFolder, rows: Sequence[Row]) -> dict[str, Any]:
    """What all of an evaluation's rows share."""
    graph, options = evaluation.graph, evaluation.options
    splits = sorted({row.split for row in rows if row.teacher})
    return {
        "graph": graph.name,
        "graph_hash": graph.content_hash,
        "nodes": graph.num_nodes,
        "edges": graph.adjacency.num_edges,
        "classes": graph.num_classes,
        "options": options.fingerprint | {"splits": options.splits, "seeds": options.seeds},
        "teachers": [evaluation.teacher(split)[0].metrics for split in splits],
    }


def report_again(graph_folder: Path, out: Path) -> Path:
    """Writes the summary and the report again from runs.parquet alone, without any run.

    Returns:
        The report's path.

    Raises:
        EvaluationError: there is no runs.parquet, or it is of another graph.
        GraphError: the graph folder cannot be read.
    """
    found, wanted = read_rows(out / RUNS_FILE).facts["graph_hash"], read_meta(graph_folder)
    if found != wanted["content_hash"]:
        raise EvaluationError(
            f"{out / RUNS_FILE} is of a graph with content hash {found[:12]}, {graph_folder} has "
            f"{wanted['content_hash'][:12]}; name the graph that was evaluated"
        )
    return write_report(out)


def check_splits(graph: TextGraph, options: EvaluationOptions) -> None:
    """Refuses a graph one of whose drawn splits cannot be trained or tested on.

    Raises:
        UntrainableError: the first such split; the message says what it lacks.
    """
    for number in range(options.splits):
        split = split_graph(graph, options.split_kind, number, options.withheld)
        check_classes(split)
        for name in ("val", "test"):
            if options.split_kind != OWN and not len(labeled_nodes(split, name)):
                raise UntrainableError(
                    f"{graph.name} has too few labelled nodes for a {name} split at "
                    f"{options.split_kind}; label more, or take another --split-kind"
                )
        check_trainable(split)
        if not len(labeled_nodes(split, "test")):
            raise UntrainableError(
                f"{graph.name} has no labelled node in its test split; give some nodes the split "
                "'test', or take a --split-kind that is drawn"
            )


def whole_sets(out: Path, options: EvaluationOptions) -> list[dict[str, Any]]:
    """The results of every encoder, student and recipe that has all splits and seeds.

    Those of earlier calls are among them: a student may have more recipes than another.
    """
    known = tuple(dict.fromkeys((*RECIPES, *MAKERS)))
    sets: dict[tuple[str, str, str], list[Path]] = {}
    for key in keys_of(options, ENCODER_KINDS, tuple(STUDENTS), known):
        path = out / "runs" / f"{key.name}.json"
        sets.setdefault((key.encoder, key.student, key.recipe), []).append(path)
    whole = [paths for paths in sets.values() if all(path.is_file() for path in paths)]
    return [json.loads(path.read_text(encoding="utf-8")) for paths in whole for path in paths]


def check_plan(out: Path, graph: TextGraph, options: EvaluationOptions) -> None:
    """Refuses to mix runs of different settings; more seeds, students and recipes may be added.

    An option that there was not yet when `out` was begun had its default then.
    """
    plan = {"graph_hash": graph.content_hash, **options.fingerprint}
    path = out / "plan.json"
    if not path.is_file():
        write_json(path, plan)
        return
    there = json.loads(path.read_text(encoding="utf-8"))
    kept, wanted = (dict(named_settings(value)) for value in (there, plan))
    usual = dict(named_settings(EvaluationOptions().fingerprint))
    assumed = {name: value for name, value in usual.items() if "." in name}
    names = sorted((assumed | kept).items() ^ (assumed | wanted).items())
    if names:
        told = ", ".join(dict.fromkeys(name for name, _ in names))
        raise EvaluationError(
            f"{out} holds an evaluation with other settings ({told}); name another folder, or "
            "remove it"
        )


def named_settings(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Every setting by its full name, such as teacher.tuning.epochs, as JSON has it."""
    for name, own in value.items():
        if isinstance(own, dict) and own:
            yield from named_settings(own, f"{before}{name}.")
        else:
            yield before + name, json.dumps(own)
