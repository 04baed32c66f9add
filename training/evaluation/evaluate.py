"""The whole evaluation: splits, teachers, searches, runs, report; it resumes where it stopped."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from training.config import ENCODER_KINDS
from training.data import check_trainable
from training.errors import EvaluationError, UntrainableError
from training.evaluation.folder import EvaluationFolder
from training.evaluation.map import write_map
from training.evaluation.plan import EvaluationOptions, run_keys, split_graph
from training.evaluation.processes import run_apart
from training.evaluation.report import write_report
from training.losses.objectives import MAKERS
from training.recipes import COMBINED, RECIPES, VANILLA
from training.student.network import STUDENTS
from training.teacher.defaults import model_folder
from understudy.folders import check_output, reserved
from understudy.folders.kinds import EVALUATION
from understudy.graph import TextGraph, load_graph
from understudy.graph.files import write_json
from understudy.graph.progress import Progress, silent
from understudy.graph.splits import labeled_nodes


def evaluate(
    graph_folder: Path,
    out: Path,
    options: EvaluationOptions,
    progress: Progress = silent,
    processes: int = 1,
) -> Path:
    """Runs what is missing in `out`, then writes the summary, plots and report on all it holds.

    Args:
        processes: among which the splits are shared out.

    Returns:
        The report's path.

    Raises:
        EvaluationError: `out` holds runs of other settings.
        FolderError: `out` is no evaluation, or cannot be written.
        GraphError, TrainingError: see `understudy.graph.errors` and `training.errors`.
    """
    check_output(out, EVALUATION, [graph_folder, *model_folder(options.teacher.teacher)])
    with reserved(out):
        return evaluated(graph_folder, out, options, progress, processes)


def evaluated(
    graph_folder: Path, out: Path, options: EvaluationOptions, progress: Progress, processes: int
) -> Path:
    """The same, of an output that has been checked."""
    graph = load_graph(graph_folder)
    check_splits(graph, options)
    check_plan(out, graph, options)
    evaluation = EvaluationFolder(graph, out, options, progress)
    keys = list(run_keys(options))
    if processes > 1:
        run_apart(evaluation, graph_folder, processes)
    evaluation.run_missing(keys)
    results = whole_sets(out, options)
    taught = range(options.splits if any(r["key"]["recipe"] != VANILLA for r in results) else 0)
    teachers = [asdict(evaluation.teacher(split)[0]) for split in taught]
    write_map(out, evaluation.inputs(replace(keys[0], recipe=COMBINED)), options)
    return write_report(out, graph, options, results, teachers)


def check_splits(graph: TextGraph, options: EvaluationOptions) -> None:
    """Refuses a graph one of whose drawn splits cannot be trained or tested on.

    Raises:
        UntrainableError: the first such split; the message says what it lacks.
    """
    for number in range(options.splits):
        split = split_graph(graph, options.split_kind, number)
        check_trainable(split)
        if not len(labeled_nodes(split, "test")):
            raise UntrainableError(
                f"{graph.name} has too few labelled nodes for a test split at "
                f"{options.split_kind}; label more, or take another --split-kind"
            )


def whole_sets(out: Path, options: EvaluationOptions) -> list[dict[str, Any]]:
    """The results of every encoder, student and recipe that has all splits and seeds.

    Those of earlier calls are among them: a student may have more recipes than another.
    """
    known = tuple(dict.fromkeys((*RECIPES, *MAKERS)))
    every = replace(options, encoders=ENCODER_KINDS, students=tuple(STUDENTS), recipes=known)
    sets: dict[tuple[str, str, str], list[Path]] = {}
    for key in run_keys(every):
        path = out / "runs" / f"{key.name}.json"
        sets.setdefault((key.encoder, key.student, key.recipe), []).append(path)
    whole = [paths for paths in sets.values() if all(path.is_file() for path in paths)]
    return [json.loads(path.read_text()) for paths in whole for path in paths]


def check_plan(out: Path, graph: TextGraph, options: EvaluationOptions) -> None:
    """Refuses to mix runs of different settings; more seeds, students and recipes may be added."""
    plan = {"graph_hash": graph.content_hash, **options.fingerprint}
    path = out / "plan.json"
    if not path.is_file():
        write_json(path, plan)
        return
    if json.loads(path.read_text()) != json.loads(json.dumps(plan)):
        raise EvaluationError(
            f"{out} holds an evaluation with other settings; name another folder, or remove it"
        )
