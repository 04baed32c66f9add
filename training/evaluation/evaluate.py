"""The whole evaluation: splits, teachers, searches, runs, report; it resumes where it stopped."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from graph import TextGraph, load_graph, save_graph
from graph.files import write_json
from graph.folder import read_meta
from graph.progress import Progress, silent
from training.config import STUDENT_KINDS
from training.data import graph_data
from training.encoding import ENCODER_KINDS, EncoderKind, encoder_spec, graph_features
from training.errors import EvaluationError
from training.evaluation.controls import own_targets, recipe_targets
from training.evaluation.map import write_map
from training.evaluation.plan import (
    COMBINED,
    RECIPES,
    SELF,
    VANILLA,
    Choice,
    EvaluationOptions,
    RunKey,
    run_keys,
)
from training.evaluation.report import write_report
from training.evaluation.runs import Material, run, train_recipe
from training.evaluation.search import search
from training.evaluation.splits import split_graph
from training.loop import predict
from training.targets import Targets
from training.teachers.folder import HopAnswers, TeacherInfo, read_teacher
from training.teachers.teach import teach

STAGE = "Training and testing students"

Taught = tuple[TextGraph, TeacherInfo, HopAnswers]


def evaluate(
    graph_folder: Path, out: Path, options: EvaluationOptions, progress: Progress = silent
) -> Path:
    """Runs what is missing in `out`, then writes the summary, plots and report on all it holds.

    Returns:
        The report's path.

    Raises:
        EvaluationError: `out` holds runs of other settings.
        GraphError, TrainingError: see `graph.errors` and `training.errors`.
    """
    graph = load_graph(graph_folder)
    check_plan(out, graph, options)
    room = Room(graph, out, options, progress)
    keys = list(run_keys(options))
    for number, key in enumerate(keys):
        path = out / "runs" / f"{key.name}.json"
        if not path.is_file():
            choice = room.choice(key)
            write_json(path, run(key, room.material(key), options, choice))
        progress(STAGE, number + 1, len(keys))
    results = whole_sets(out, options)
    taught = range(options.splits if any(r["key"]["recipe"] != VANILLA for r in results) else 0)
    teachers = [asdict(room.teacher(split)[0]) for split in taught]
    write_map(out, room.material(replace(keys[0], recipe=COMBINED)), options)
    return write_report(out, graph, options, results, teachers)


def whole_sets(out: Path, options: EvaluationOptions) -> list[dict[str, Any]]:
    """The results of every encoder, student and recipe that has all splits and seeds.

    Those of earlier calls are among them: a student may have more recipes than another.
    """
    every = replace(options, encoders=ENCODER_KINDS, students=STUDENT_KINDS, recipes=RECIPES)
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


class Room:
    """What runs share, made when it is first needed and kept while it is: one split at a time."""

    def __init__(
        self, graph: TextGraph, out: Path, options: EvaluationOptions, progress: Progress
    ) -> None:
        self.graph, self.out, self.options, self.progress = graph, out, options, progress
        self.kept: tuple[tuple[int, EncoderKind], Material, Taught | None] | None = None

    @property
    def needs_teacher(self) -> bool:
        return self.options.recipes != (VANILLA,)

    def split(self, number: int) -> tuple[Path, TextGraph]:
        """The folder of a split's graph, and the graph."""
        folder = self.out / "splits" / str(number)
        graph = split_graph(self.graph, self.options.split_kind, number)
        if not folder.is_dir() or read_meta(folder)["content_hash"] != graph.content_hash:
            save_graph(graph, folder)
        return folder, graph

    def teacher(self, number: int) -> tuple[TeacherInfo, HopAnswers]:
        """A split's own teacher: one tuned on another split would know test labels of this one."""
        folder, graph = self.split(number)
        path = self.out / "teachers" / str(number)
        teach(folder, path, self.options.teacher, self.progress)
        return read_teacher(path, graph)

    def material(self, key: RunKey) -> Material:
        wanted = (key.split, key.encoder)
        if self.kept is None or self.kept[0] != wanted:
            _, graph = self.split(key.split)
            spec = encoder_spec(key.encoder)
            features = graph_features(graph, spec, None, self.progress)
            material = Material(graph_data(graph, features), spec, graph.label_names)
            taught = (graph, *self.teacher(key.split)) if self.needs_teacher else None
            self.kept = wanted, material, taught
        _, material, taught = self.kept
        if taught is None or key.recipe == VANILLA:
            return material  # which holds nothing of a teacher
        if key.recipe == SELF:
            targets = self.own_targets(key, material, taught[0])
        else:
            targets = recipe_targets(key.recipe, *taught, seed=1_000 * key.split)
        return replace(material, data=replace(material.data, targets=targets))

    def own_targets(self, key: RunKey, material: Material, graph: TextGraph) -> Targets:
        """The answers of the vanilla run of the same split, seed, encoder and student."""
        vanilla = replace(key, recipe=VANILLA)
        student, _ = train_recipe(vanilla, material, self.options, self.choice(vanilla))
        return own_targets(graph, predict(student, material.data))

    def choice(self, key: RunKey) -> Choice:
        """What the search chose on the first split's validation nodes, for all splits and seeds."""
        if not self.options.trials:
            return self.options.default_choice
        path = self.out / "search" / f"{key.encoder}-{key.student}-{key.recipe}.json"
        if not path.is_file():
            first = RunKey(0, 0, key.encoder, key.student, key.recipe)
            write_json(path, asdict(search(first, self.material(first), self.options)))
        value: dict[str, Any] = json.loads(path.read_text())
        return Choice(**value)
