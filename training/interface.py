"""`understudy.teach`, `understudy.distill` and `understudy.evaluate`: the programs as functions.

A graph may be a folder, or in memory: then it is kept in the cache as a folder, since what is made
of it can be made again only from files. See docs/python.md.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from training import distill as distilling
from training.cli.teach import parse_endpoint
from training.config import (
    ENCODER_KINDS,
    EncoderKind,
    Normalization,
    ObjectiveOptions,
    StudentConfig,
    TrainingConfig,
)
from training.distill import DistillOptions
from training.errors import EvaluationError
from training.evaluation import evaluate as evaluating
from training.evaluation.plan import SPLIT_KINDS, EvaluationOptions
from training.recipes import RECIPES
from training.teacher import teach as teaching
from training.teacher.answers.folder import TeacherInfo
from training.teacher.defaults import defaults_of, teacher_kind
from training.teacher.encoder import EncoderOptions
from training.teacher.options import TeachOptions
from training.teacher.tuning import TuningOptions
from understudy.graph.kept import GraphSource, graph_folder
from understudy.graph.progress import Progress, silent
from understudy.graph.prompts import PromptOptions

STUDENT = StudentConfig()
TRAINING = TrainingConfig()


def teach(
    graph: GraphSource,
    out: Path | str,
    *,
    teacher: str = "encoder",
    hops: Sequence[int] | None = None,
    tokens: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    max_nodes: int = 0,
    frozen: bool = False,
    seed: int = 0,
    progress: Progress = silent,
    force: bool = False,
) -> TeacherInfo:
    """Tunes a language model on a graph and asks it about every node; resumes after a kill.

    Args:
        graph: in memory, or its folder.
        out: teacher folder to write.
        teacher: encoder (MiniLM), encoder:FOLDER, gemma, gguf:FILE, a causal model's folder or
            hub id, or openai:URL#model; a key is read from OPENAI_API_KEY.
        hops: to ask about; by default 0, 1 and 2, of an endpoint 2.
        tokens: of a node's description; this and the next three by default as suits the teacher.
        epochs: of tuning, at most.
        batch_size: prompts a step.
        max_nodes: nodes to ask about; 0 asks about all.
        frozen: tune an encoder's head alone: the cheapest teacher.
        force: replace `out` also if it is another kind of folder.

    Returns:
        What `out` says of the teacher, its accuracies among the metrics.

    Raises:
        FolderError, GraphError, TrainingError: see `understudy.folders.errors`,
            `understudy.graph.errors` and `training.errors`.
    """
    options = teacher_options(
        teacher, hops, tokens, epochs, batch_size, learning_rate, max_nodes, frozen, seed
    )
    return teaching.teach(graph_folder(graph), Path(out), options, progress, force)


def teacher_options(
    teacher: str,
    hops: Sequence[int] | None,
    tokens: int | None,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    max_nodes: int,
    frozen: bool,
    seed: int,
) -> TeachOptions:
    """What is not given is what suits the teacher."""
    suited = defaults_of(teacher)
    length = tokens or suited.tokens
    return TeachOptions(
        teacher=teacher,
        hops=suited.hops if hops is None else tuple(sorted(set(hops))),
        prompts=PromptOptions(tokens=length, nested=suited.nested, seed=seed),
        tuning=TuningOptions(
            epochs=suited.epochs if epochs is None else epochs,
            batch_size=batch_size or suited.batch_size,
            learning_rate=suited.learning_rate if learning_rate is None else learning_rate,
            seed=seed,
        ),
        encoder=EncoderOptions(max_tokens=length, frozen=frozen),
        endpoint=parse_endpoint(teacher, concurrency=8, input_price=0.0, output_price=0.0),
        max_nodes=max_nodes,
    )


def distill(
    graph: GraphSource,
    out: Path | str,
    *,
    teacher: Path | str | None = None,
    view: str | None = None,
    compare: bool = False,
    objectives: Mapping[str, float] | None = None,
    student: str = STUDENT.kind,
    encoder: EncoderKind = "minilm",
    encoder_path: Path | str | None = None,
    layers: int = STUDENT.layers,
    hidden: int = STUDENT.hidden,
    dropout: float = STUDENT.dropout,
    input_dropout: float = STUDENT.input_dropout,
    residual: bool = STUDENT.residual,
    normalization: Normalization = STUDENT.normalization,
    epochs: int = TRAINING.epochs,
    patience: int = TRAINING.patience,
    learning_rate: float = TRAINING.learning_rate,
    weight_decay: float = TRAINING.weight_decay,
    batch_size: int = TRAINING.batch_size,
    fanout: int = TRAINING.fanout,
    temperature: float = ObjectiveOptions().temperature,
    auto_accuracy: float = 0.95,
    seed: int = TRAINING.seed,
    progress: Progress = silent,
    force: bool = False,
) -> dict[str, float]:
    """Trains a student network on a graph; its epoch is chosen on validation.

    Args:
        graph: in memory, or its folder.
        out: student folder to write.
        teacher: teacher folder, see `teach`; None learns from the labels alone.
        view: of the teacher; None takes the best on validation.
        compare: train without the teacher, too, and from simpler parts of what it says; keep the
            student that is best on validation.
        objectives: weights by name, such as {"kd": 0.5}; None: by what the teacher says.
        student: sage, gcn, gat, gin or mlp.
        encoder: minilm: a transformer; hashing: n-grams, much faster.
        encoder_path: MiniLM's folder, where it is not installed.
        hidden: width of every layer.
        epochs: at most.
        patience: epochs without a better validation accuracy.
        batch_size: nodes a step, with drawn neighbours; 0: the whole graph.
        fanout: neighbours drawn of a node and hop, in batches.
        temperature: of the teacher's soft labels.
        auto_accuracy: wanted of the student's own answers in `route: auto`.
        force: replace `out` also if it is another kind of folder.

    Returns:
        Accuracy, macro-F1 and calibration error a split, such as test_accuracy, and more.

    Raises:
        FolderError, GraphError, TrainingError: see `understudy.folders.errors`,
            `understudy.graph.errors` and `training.errors`.
    """
    network = StudentConfig(
        kind=student,
        layers=layers,
        hidden=hidden,
        dropout=dropout,
        input_dropout=input_dropout,
        residual=residual,
        normalization=normalization,
    )
    loop = TrainingConfig(
        epochs=epochs,
        patience=patience,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        seed=seed,
        batch_size=batch_size,
        fanout=fanout,
    )
    options = DistillOptions(
        encoder=encoder,
        encoder_path=None if encoder_path is None else Path(encoder_path),
        student=network,
        training=loop,
        teacher=None if teacher is None else Path(teacher),
        view=view,
        compare=compare,
        objectives=objectives or {},
        constants=ObjectiveOptions(temperature=temperature),
        auto_accuracy=auto_accuracy,
    )
    return distilling.distill(graph_folder(graph), Path(out), options, progress, force)


def evaluate(
    graph: GraphSource,
    out: Path | str,
    *,
    splits: int = 5,
    seeds: int = 2,
    split_kind: str = SPLIT_KINDS[0],
    students: Sequence[str] = EvaluationOptions().students,
    encoders: Sequence[EncoderKind] = ENCODER_KINDS,
    recipes: Sequence[str] = RECIPES,
    trials: int = 0,
    hidden: int = STUDENT.hidden,
    epochs: int = TRAINING.epochs,
    patience: int = TRAINING.patience,
    teacher: str = "encoder",
    hops: Sequence[int] | None = None,
    tokens: int | None = None,
    teacher_epochs: int | None = None,
    teacher_batch_size: int | None = None,
    frozen: bool = False,
    processes: int = 1,
    progress: Progress = silent,
) -> Path:
    """Compares distilled with vanilla students over paired seeds, controls included.

    Args:
        graph: in memory, or its folder; its labels are split anew.
        out: folder of results; what is there is not run again.
        splits: each has a teacher of its own.
        seeds: initialisations a split.
        split_kind: 60/20/20 or 20-per-class.
        recipes: objectives and controls, see docs/accuracy.md.
        trials: of the search on validation; the same for every recipe.
        epochs: of a student, at most.
        teacher: and the five that follow: see `teach`; no endpoint.
        processes: that share the splits; they share the cores, too.

    Returns:
        The report's path.

    Raises:
        FolderError, GraphError, TrainingError: see `understudy.folders.errors`,
            `understudy.graph.errors` and `training.errors`.
    """
    if teacher_kind(teacher) == "endpoint":
        raise EvaluationError("an endpoint cannot be tuned for each split; name another teacher")
    options = EvaluationOptions(
        splits=splits,
        seeds=seeds,
        split_kind=split_kind,
        students=tuple(students),
        encoders=tuple(encoders),
        recipes=tuple(recipes),
        hidden=hidden,
        training=TrainingConfig(epochs=epochs, patience=patience),
        teacher=teacher_options(
            teacher, hops, tokens, teacher_epochs, teacher_batch_size, None, 0, frozen, 0
        ),
        trials=trials,
    )
    return evaluating.evaluate(graph_folder(graph), Path(out), options, progress, processes)
