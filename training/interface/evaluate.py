"""`understudy.evaluate`: the evaluation as a function."""

from collections.abc import Sequence
from pathlib import Path

from training.config import ENCODER_KINDS, DistillChoices, EncoderKind, TrainingConfig
from training.devices import StudentPrecision
from training.errors import EvaluationError
from training.evaluation.plan import EvaluationOptions
from training.evaluation.splits import SPLIT_KINDS
from training.evaluation.teachers import check_teacher
from training.recipes import RECIPES
from training.teacher.causal import CausalOptions
from training.teacher.choices import TeacherChoices, refuse_unread_choices
from training.teacher.defaults import Precision, Scores
from training.teacher.readers import READERS, RENAMED
from understudy.extras import needed
from understudy.graph.cached_graph import GraphSource, graph_folder
from understudy.plain_arguments import plain_arguments
from understudy.progress import Progress, silent

CAUSAL = CausalOptions()
DISTILL = DistillChoices()


@plain_arguments(EvaluationError)
def evaluate(
    graph: GraphSource,
    out: Path | str,
    *,
    splits: int = 10,
    seeds: int = 2,
    split_kind: str = SPLIT_KINDS[0],
    students: Sequence[str] = EvaluationOptions().students,
    encoders: Sequence[EncoderKind] = ENCODER_KINDS,
    recipes: Sequence[str] = RECIPES,
    trials: int = 0,
    hidden: int = DISTILL.hidden,
    epochs: int = DISTILL.epochs,
    patience: int = DISTILL.patience,
    teacher: str = "encoder",
    hops: Sequence[int] | None = None,
    tokens: int | None = None,
    teacher_epochs: int | None = None,
    teacher_batch_size: int | None = None,
    teacher_learning_rate: float | None = None,
    nested: bool | None = None,
    show_labels: bool = True,
    accumulate: int = 1,
    max_train_nodes: int = 0,
    tuned_layers: int = 0,
    frozen: bool = False,
    bf16: bool = False,
    max_tokens: int = CAUSAL.max_tokens,
    precision: Precision = "auto",
    scores: Scores = "auto",
    rank: int = CAUSAL.rank,
    four_bit: bool = False,
    gradient_checkpointing: bool = False,
    tokens_per_batch: int = 8_192,
    device: str = DISTILL.device,
    student_precision: StudentPrecision = DISTILL.precision,
    processes: int = 1,
    progress: Progress = silent,
) -> Path:
    """Compares distilled with vanilla students over paired seeds, with controls.

    Args:
        graph: in memory, or its folder; its labels are split anew.
        out: folder of results; finished runs in it are not repeated.
        splits: number of splits; each has its own teacher.
        seeds: initialisations per split.
        split_kind: 60/20/20, 20-per-class, 5-per-class, or own: the graph's own split.
        students: networks, see `distill`.
        encoders: text encoders, see `distill`.
        recipes: objectives and controls, see docs/concepts/accuracy.md.
        trials: of the search on validation; the same number for every recipe.
        hidden: width of every layer, unless `trials` searches for it.
        epochs: maximum number of epochs of a student.
        patience: see `distill`.
        teacher: this and all arguments up to `tokens_per_batch`: see `teach`; neither an endpoint
            nor a student.
        device, student_precision: of the students, see `distill`.
        processes: number of processes that share the splits, and the cores.
        progress: see `teach`.

    Returns:
        The report's path.

    Raises:
        FolderError, GraphError, TrainingError: see `understudy.folders.errors`,
            `understudy.graph.errors` and `training.errors`.
    """
    with needed("training"):  # the search, statistics and plots take seconds to load
        from training.evaluation.evaluate import evaluate as run_evaluation
    check_teacher(teacher)
    choices = TeacherChoices(
        teacher=teacher,
        hops=hops,
        tokens=tokens,
        nested=nested,
        show_labels=show_labels,
        epochs=teacher_epochs,
        batch_size=teacher_batch_size,
        accumulate=accumulate,
        learning_rate=teacher_learning_rate,
        max_train_nodes=max_train_nodes,
        tuned_layers=tuned_layers,
        frozen=frozen,
        bf16=bf16,
        max_tokens=max_tokens,
        precision=precision,
        scores=scores,
        rank=rank,
        four_bit=four_bit,
        gradient_checkpointing=gradient_checkpointing,
        tokens_per_batch=tokens_per_batch,
    )
    refuse_unread_choices(choices, READERS, RENAMED)
    options = EvaluationOptions(
        splits=splits,
        seeds=seeds,
        split_kind=split_kind,
        students=tuple(students),
        encoders=tuple(encoders),
        recipes=tuple(recipes),
        hidden=hidden,
        training=TrainingConfig(
            epochs=epochs, patience=patience, device=device, precision=student_precision
        ),
        teacher=choices.options(),
        trials=trials,
    )
    return run_evaluation(graph_folder(graph), Path(out), options, progress, processes)
