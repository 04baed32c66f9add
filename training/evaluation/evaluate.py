"""The whole evaluation: splits, teachers, searches, runs, report; resumes after an interruption."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.config import ENCODER_KINDS
from training.devices import found_device
from training.errors import EvaluationError
from training.evaluation.folder import Evaluation, EvaluationFolder, run_path
from training.evaluation.map import write_map
from training.evaluation.plan import EvaluationOptions, keys_of, run_keys
from training.evaluation.processes import run_apart
from training.evaluation.report import REPORT_FILE, write_report
from training.evaluation.rows import RUNS_FILE, Row, read_rows, row_of, write_rows
from training.evaluation.run import Finish
from training.evaluation.splits import OWN, check_own, split_graph
from training.evaluation.stored import (
    PLAN_FILE,
    named_settings,
    read_plan,
    read_result,
    refuse_other_settings,
)
from training.losses.objectives import MAKERS
from training.recipe_names import COMBINED
from training.recipes import RECIPES
from training.student.network import STUDENTS
from training.teacher.defaults import model_folder
from understudy.folders import check_output, reserved
from understudy.folders.kinds import EVALUATION
from understudy.graph import TextGraph, load_graph, read_meta
from understudy.graph.errors import UntrainableError
from understudy.graph.files import write_json
from understudy.graph.splits import labeled_nodes
from understudy.graph.trainable import check_classes, check_trainable
from understudy.progress import Progress, silent

log = logging.getLogger(__name__)


def evaluate(
    graph_folder: Path,
    out: Path,
    options: EvaluationOptions,
    progress: Progress = silent,
    processes: int = 1,
    finish: Finish | None = None,
) -> Path:
    """Runs `evaluate_all` for one evaluation; returns its report's path.

    Args:
        finish: adds measurements of every trained student; other processes import it by module and
            name.
    """
    return evaluate_all([Evaluation(graph_folder, out, options, finish)], progress, processes)[0]


def evaluate_all(
    evaluations: Sequence[Evaluation], progress: Progress = silent, processes: int = 1
) -> list[Path]:
    """Runs what is missing in each `out`, then writes runs.parquet, and from it the summary, plots
    and report, over all runs.

    Args:
        processes: that share the splits of all evaluations.

    Returns:
        The reports' paths.

    Raises:
        EvaluationError: an `out` holds runs of other settings.
        FolderError: an `out` is no evaluation, or cannot be written.
        GraphError, TrainingError: see `understudy.graph.errors` and `training.errors`.
    """
    with ExitStack() as stack:
        for one in evaluations:
            check_output(
                one.out, EVALUATION, [one.graph, *model_folder(one.options.teacher.teacher)]
            )
            found_device(one.options.training.device)  # fails before any work
            stack.enter_context(reserved(one.out))
            graph = load_graph(one.graph)
            check_splits(graph, one.options)
            check_plan(one.out, graph, one.options)
            for key in run_keys(one.options):
                if (path := run_path(one.out, key)).is_file():
                    read_result(path)  # finds a damaged one now instead of after all runs
        if processes > 1 and not all(is_complete(one) for one in evaluations):
            run_apart(evaluations, processes, conclude, progress)
            return [one.out / REPORT_FILE for one in evaluations]
        return [conclude(one, progress) for one in evaluations]


def is_complete(evaluation: Evaluation) -> bool:
    keys = run_keys(evaluation.options)
    return all(run_path(evaluation.out, key).is_file() for key in keys)


def conclude(evaluation: Evaluation, progress: Progress = silent) -> Path:
    """Runs what is missing, and reports on all runs; returns the report's path.

    A teacher whose folder was removed after its runs is not made again for the report.
    """
    folder, options = evaluation.opened(progress), evaluation.options
    keys = list(run_keys(options))
    folder.run_missing(keys)
    if COMBINED in options.recipes and folder.keeps_teacher(keys[0].split):
        write_map(folder.out, folder.inputs(replace(keys[0], recipe=COMBINED)), options)
    results = whole_sets(folder.out, options)
    rows = [row_of(result, folder.graph, options.split_kind) for result in results]
    write_rows(folder.out / RUNS_FILE, rows, facts(folder, rows))
    return write_report(folder.out, results)


def facts(evaluation: EvaluationFolder, rows: Sequence[Row]) -> dict[str, Any]:
    """The facts that all rows of an evaluation share."""
    graph, options = evaluation.graph, evaluation.options
    splits = sorted({row.split for row in rows if row.teacher})
    gone = [split for split in splits if not evaluation.keeps_teacher(split)]
    if gone:
        log.warning(
            "%s: the report tells nothing of how accurate teachers are by themselves, since some "
            "were removed after their runs (of the splits: %s); without runs/ they are made again",
            evaluation.out,
            ", ".join(map(str, gone)),
        )
    return {
        "graph": graph.name,
        "graph_hash": graph.content_hash,
        "nodes": graph.num_nodes,
        "edges": graph.adjacency.num_edges,
        "classes": graph.num_classes,
        "options": options.fingerprint | {"splits": options.splits, "seeds": options.seeds},
        "teachers": [evaluation.teacher(split)[0].metrics for split in splits if not gone],
    }


def report_again(graph_folder: Path, out: Path) -> Path:
    """Writes the summary and the report again from runs.parquet, without any run.

    Returns:
        The report's path.

    Raises:
        EvaluationError: runs.parquet is missing, or about another graph.
        GraphError: the graph folder cannot be read.
    """
    evaluated = read_rows(out / RUNS_FILE).facts["graph_hash"]
    given = read_meta(graph_folder)["content_hash"]
    if given != evaluated:
        raise EvaluationError(
            f"{out / RUNS_FILE} is of a graph with content hash {evaluated[:12]}, but "
            f"{graph_folder} has {given[:12]}; give the graph that was evaluated"
        )
    return write_report(out)


def check_splits(graph: TextGraph, options: EvaluationOptions) -> None:
    """Refuses a graph with a drawn split that cannot be trained or tested on.

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
                    f"{options.split_kind}; label more, or choose another --split-kind"
                )
        check_trainable(split)
        check_own(graph.name, {"test": len(labeled_nodes(split, "test"))})


def whole_sets(out: Path, options: EvaluationOptions) -> list[dict[str, Any]]:
    """The results of every encoder, student and recipe that has all splits and seeds.

    Results of earlier calls are included, since one student may have more recipes than another.
    """
    known = tuple(dict.fromkeys((*RECIPES, *MAKERS)))
    sets: dict[tuple[str, str, str], list[Path]] = {}
    for key in keys_of(options, ENCODER_KINDS, tuple(STUDENTS), known):
        path = out / "runs" / f"{key.name}.json"
        sets.setdefault((key.encoder, key.student, key.recipe), []).append(path)
    whole = [paths for paths in sets.values() if all(path.is_file() for path in paths)]
    return [read_result(path) for paths in whole for path in paths]


def check_plan(out: Path, graph: TextGraph, options: EvaluationOptions) -> None:
    """Refuses to mix runs of different settings; more seeds, students and recipes may be added.

    An option that did not exist when `out` was created had its default then.
    """
    plan = {"graph_hash": graph.content_hash, **options.fingerprint}
    kept = read_plan(out)
    if kept is None:
        write_json(out / PLAN_FILE, plan)
        return
    wanted = dict(named_settings(plan))
    usual = dict(named_settings(EvaluationOptions().fingerprint))
    assumed = {name: value for name, value in usual.items() if "." in name}
    names = sorted((assumed | kept).items() ^ (assumed | wanted).items())
    refuse_other_settings(out, list(dict.fromkeys(name for name, _ in names)))
