"""What the runs of an evaluation share: splits, features, teachers, choices of hyperparameters."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from training.config import EncoderKind
from training.data import Targets, graph_data
from training.encoders.features import encoder_spec, graph_features
from training.errors import EvaluationError
from training.evaluation.controls import own_targets, recipe_targets
from training.evaluation.plan import Choice, EvaluationOptions, RunKey, split_graph
from training.evaluation.run import TrainingInputs, run, search, train_recipe
from training.loop import predict
from training.recipes import SELF, VANILLA
from training.teacher.answers.folder import HopAnswers, TeacherInfo, read_teacher
from training.teacher.teach import teach
from understudy.graph import TextGraph, save_graph
from understudy.graph.files import write_json
from understudy.graph.folder import read_meta
from understudy.graph.progress import Progress

STAGE = "Training and testing students"

AskedTeacher = tuple[TextGraph, TeacherInfo, HopAnswers]


class EvaluationFolder:
    """What runs share, made when it is first needed and kept while it is: one split at a time."""

    def __init__(
        self, graph: TextGraph, out: Path, options: EvaluationOptions, progress: Progress
    ) -> None:
        self.graph, self.out, self.options, self.progress = graph, out, options, progress
        self.kept: tuple[tuple[int, EncoderKind], TrainingInputs, AskedTeacher | None] | None = None

    @property
    def needs_teacher(self) -> bool:
        return self.options.recipes != (VANILLA,)

    def split(self, number: int) -> tuple[Path, TextGraph]:
        """The folder of a split's graph, and the graph.

        Raises:
            EvaluationError: earlier runs had another split of this number.
        """
        folder = self.out / "splits" / str(number)
        graph = split_graph(self.graph, self.options.split_kind, number)
        if not folder.is_dir():
            save_graph(graph, folder)
        elif read_meta(folder)["content_hash"] != graph.content_hash:
            raise EvaluationError(
                f"{folder} is not the split {number} that would be drawn today, so its runs cannot "
                f"be compared with new ones; name another folder, or remove {self.out}"
            )
        return folder, graph

    def teacher(self, number: int) -> tuple[TeacherInfo, HopAnswers]:
        """A split's own teacher: one tuned on another split would know test labels of this one."""
        folder, graph = self.split(number)
        path = self.out / "teachers" / str(number)
        teach(folder, path, self.options.teacher, self.progress)
        return read_teacher(path, graph)

    def shared(
        self, split: int, encoder: EncoderKind
    ) -> tuple[TrainingInputs, AskedTeacher | None]:
        """What every recipe of a split and encoder starts from."""
        if self.kept is None or self.kept[0] != (split, encoder):
            _, graph = self.split(split)
            spec = encoder_spec(encoder)
            features = graph_features(graph, spec, None, self.progress)
            inputs = TrainingInputs(graph_data(graph, features), spec, graph.label_names)
            taught = (graph, *self.teacher(split)) if self.needs_teacher else None
            self.kept = (split, encoder), inputs, taught
        return self.kept[1:]

    def inputs(self, key: RunKey) -> TrainingInputs:
        inputs, taught = self.shared(key.split, key.encoder)
        if taught is None or key.recipe == VANILLA:
            return inputs  # which holds nothing of a teacher
        if key.recipe == SELF:
            targets = self.own_targets(key, inputs, taught[0])
        else:
            targets = recipe_targets(key.recipe, *taught, seed=1_000 * key.split)
        return replace(inputs, data=replace(inputs.data, targets=targets))

    def own_targets(self, key: RunKey, inputs: TrainingInputs, graph: TextGraph) -> Targets:
        """The answers of the vanilla run of the same split, seed, encoder and student."""
        vanilla = replace(key, recipe=VANILLA)
        student, _ = train_recipe(vanilla, inputs, self.options, self.choice(vanilla))
        return own_targets(graph, predict(student, inputs.data))

    def choice(self, key: RunKey) -> Choice:
        """What the search chose on the first split's validation nodes, for all splits and seeds."""
        if not self.options.trials:
            return self.options.default_choice
        path = self.out / "search" / f"{key.encoder}-{key.student}-{key.recipe}.json"
        if not path.is_file():
            first = RunKey(0, 0, key.encoder, key.student, key.recipe)
            write_json(path, asdict(search(first, self.inputs(first), self.options)))
        value: dict[str, Any] = json.loads(path.read_text())
        return Choice(**value)

    def run_path(self, key: RunKey) -> Path:
        return self.out / "runs" / f"{key.name}.json"

    def run_missing(self, keys: Sequence[RunKey]) -> None:
        """Runs those that have no result yet, and writes each result when it is there."""
        self.progress(STAGE, 0, len(keys))
        for number, key in enumerate(keys):
            path = self.run_path(key)
            if not path.is_file():
                choice = self.choice(key)
                write_json(path, run(key, self.inputs(key), self.options, choice))
            self.progress(STAGE, number + 1, len(keys))
