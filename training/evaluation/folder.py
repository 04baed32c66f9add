"""Resources shared by the runs of an evaluation: splits, features, teachers, hyperparameters."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from training.config import EncoderKind
from training.data import Targets, graph_data
from training.encoders.features import encoder_spec, graph_features
from training.errors import EvaluationError
from training.evaluation.controls import propagated_targets, recipe_targets, student_targets
from training.evaluation.plan import Choice, EvaluationOptions, RunKey
from training.evaluation.run import (
    Finish,
    TrainingInputs,
    measured,
    panel_rows,
    search,
    train_recipe,
    trained_run,
)
from training.evaluation.splits import split_graph
from training.evaluation.stored import read_result
from training.loop import predict
from training.recipe_names import (
    GRAPH,
    GRAPH_BARE,
    LANGUAGE_FREE,
    PROPAGATED,
    SELF,
    SELF_BARE,
    VANILLA,
)
from training.teacher.answers.folder import HopAnswers, TeacherInfo, read_teacher
from training.teacher.teach import teach
from understudy.graph import TextGraph, load_graph, save_graph
from understudy.graph.errors import GraphError, GraphFormatError
from understudy.graph.files import write_json
from understudy.graph.folder import read_meta
from understudy.progress import Progress

STAGE = "Training and testing students"

GRAPH_TEACHER = RunKey(0, 999, "minilm", "sage", VANILLA)  # of every split; no run has this seed


def run_path(out: Path, key: RunKey) -> Path:
    """The path of a run's result in the evaluation folder `out`."""
    return out / "runs" / f"{key.name}.json"


def kept_hash(folder: Path) -> str:
    """The content hash of a split's graph.

    Raises:
        EvaluationError: the folder is damaged.
    """
    try:
        return str(read_meta(folder)["content_hash"])
    except GraphError as error:
        raise damaged_split(folder) from error


def damaged_split(folder: Path) -> EvaluationError:
    return EvaluationError(
        f"{folder} is damaged; remove it, and the same command draws the split again"
    )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation to run, and the folder of its results."""

    graph: Path  # its folder
    out: Path
    options: EvaluationOptions
    finish: Finish | None = None  # adds measurements of every trained student

    def opened(self, progress: Progress) -> "EvaluationFolder":
        graph = load_graph(self.graph)
        return EvaluationFolder(graph, self.out, self.options, progress, self.finish)


class EvaluationFolder:
    """Resources shared by runs, made on demand and kept for one split at a time."""

    def __init__(
        self,
        graph: TextGraph,
        out: Path,
        options: EvaluationOptions,
        progress: Progress,
        finish: Finish | None = None,
    ) -> None:
        self.graph, self.out, self.options, self.progress = graph, out, options, progress
        self.finish = finish
        self.kept: tuple[int, dict[EncoderKind, TrainingInputs], dict[str, Targets]] = -1, {}, {}
        self.teaching: dict[RunKey, Tensor] = {}  # logits of the split's students that may teach

    @property
    def needs_teacher(self) -> bool:
        return not set(self.options.recipes) <= set(LANGUAGE_FREE)

    @property
    def encoders(self) -> tuple[EncoderKind, ...]:
        """The encoders of students, and of the graph network that teaches some of them."""
        teaching = {GRAPH, GRAPH_BARE} & set(self.options.recipes)
        named = (*self.options.encoders, *([GRAPH_TEACHER.encoder] if teaching else []))
        return tuple(dict.fromkeys(named))

    def split(self, number: int) -> tuple[Path, TextGraph]:
        """The folder of a split's graph, and the graph.

        Raises:
            EvaluationError: earlier runs had another split of this number.
        """
        folder = self.out / "splits" / str(number)
        options = self.options
        graph = split_graph(self.graph, options.split_kind, number, options.withheld)
        if not folder.is_dir():
            save_graph(graph, folder)
        elif kept_hash(folder) != graph.content_hash:
            raise EvaluationError(
                f"{folder} holds a different split {number} than this release draws, so its runs "
                f"cannot be compared with new ones; choose another folder, or remove {self.out}"
            )
        return folder, graph

    def teacher(self, number: int) -> tuple[TeacherInfo, HopAnswers]:
        """A split's own teacher: one tuned on another split would know test labels of this one.

        Raises:
            EvaluationError: the split's graph is damaged.
            TeacherError: its model has changed since earlier runs: other weights, or another
                tokenizer, chat template or configuration.
        """
        folder, graph = self.split(number)
        path = self.out / "teachers" / str(number)
        try:
            teach(folder, path, self.options.teacher, self.progress, like=self.first_teacher)
        except GraphFormatError as error:
            raise damaged_split(folder) from error
        return read_teacher(path, graph)

    def keeps_teacher(self, split: int) -> bool:
        """Whether the teacher for the split's runs still exists."""
        return (self.out / "teachers" / str(split) / "teacher.json").is_file()

    @property
    def first_teacher(self) -> Path | None:
        """The folder of the first split's teacher, whose base model all others must share; None
        before there is one.
        """
        made = sorted(self.out.glob("teachers/*/teacher.json"))
        return made[0].parent if made else None

    def shared(self, split: int, encoder: EncoderKind) -> tuple[TrainingInputs, dict[str, Targets]]:
        """The inputs that every recipe of a split and encoder starts from, and the targets of the
        split that do not depend on the student.
        """
        if self.kept[0] != split:
            self.kept, self.teaching = (split, {}, {}), {}
        _, inputs, targets = self.kept
        if encoder not in inputs:
            folder, graph = self.split(split)
            spec = encoder_spec(encoder)
            features = graph_features(graph, spec, None, self.progress)
            data = graph_data(graph, features)
            panel = panel_rows(self.graph, graph)
            inputs[encoder] = TrainingInputs(data, spec, graph.label_names, folder, panel)
        return inputs[encoder], targets

    def inputs(self, key: RunKey) -> TrainingInputs:
        inputs, kept = self.shared(key.split, key.encoder)
        if key.recipe == VANILLA:
            return inputs  # contains nothing from a teacher
        if key.recipe in (SELF, SELF_BARE):
            vanilla = replace(key, recipe=VANILLA)
            targets = self.student_targets(vanilla, smooth=key.recipe == SELF)
        else:
            if key.recipe not in kept:
                kept[key.recipe] = self.split_targets(key)
            targets = kept[key.recipe]
        return replace(inputs, data=replace(inputs.data, targets=targets))

    def split_targets(self, key: RunKey) -> Targets:
        """The targets of a recipe that are the same for all students."""
        if key.recipe in (GRAPH, GRAPH_BARE):
            teacher = replace(GRAPH_TEACHER, split=key.split)
            return self.student_targets(teacher, smooth=key.recipe == GRAPH)
        _, graph = self.split(key.split)
        if key.recipe == PROPAGATED:
            return propagated_targets(graph)
        taught = self.teacher(key.split)
        return recipe_targets(key.recipe, graph, *taught, seed=1_000 * key.split)

    def student_targets(self, teacher: RunKey, smooth: bool) -> Targets:
        """The targets from a student of the same split that learned from labels alone."""
        inputs, _ = self.shared(teacher.split, teacher.encoder)
        _, graph = self.split(teacher.split)
        if teacher not in self.teaching:
            student, _ = train_recipe(teacher, inputs, self.options, self.choice(teacher))
            self.teaching[teacher] = predict(student, inputs.data)
        return student_targets(graph, self.teaching[teacher], smooth)

    def choice(self, key: RunKey) -> Choice:
        """The hyperparameters chosen on the first split's validation nodes, for all other runs."""
        if not self.options.trials:
            return self.options.default_choice
        path = self.out / "search" / f"{key.encoder}-{key.student}-{key.recipe}.json"
        if not path.is_file():
            first = RunKey(0, 0, key.encoder, key.student, key.recipe)
            write_json(path, asdict(search(first, self.inputs(first), self.options)))
        return Choice(**read_result(path))

    def run_path(self, key: RunKey) -> Path:
        return run_path(self.out, key)

    def result(self, key: RunKey) -> dict[str, Any]:
        """Trains and measures the run's student; keeps its logits if it may teach."""
        choice = self.choice(key)
        trained = trained_run(key, self.inputs(key), self.options, choice)
        logits = predict(trained.student, trained.inputs.data)
        if key.recipe == VANILLA:
            self.teaching[key] = logits
        return measured(trained, logits, self.options, choice, self.finish)

    def run_missing(self, keys: Sequence[RunKey]) -> None:
        """Runs the keys that have no result yet, and writes each result at once."""
        missing = [key for key in keys if not self.run_path(key).is_file()]
        there = len(keys) - len(missing)
        self.progress(STAGE, there, len(keys))
        for number, key in enumerate(missing, start=1):
            write_json(self.run_path(key), self.result(key))
            self.progress(STAGE, there + number, len(keys))
