"""`understudy.teach`, `understudy.distill` and `understudy.evaluate`: the programs as functions.

A graph may be a folder or in memory. A graph in memory is saved to a folder in the cache, because
reproducing results requires files. See docs/guides/python.md.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from training import distill as distilling
from training import student_teacher as teaching
from training.beginning import like_its_start
from training.cluster.places import (
    check_shared_batch_size,
    check_shared_device,
    student_place,
    teacher_place,
)
from training.config import (
    ENCODER_KINDS,
    DistillChoices,
    EncoderKind,
    Normalization,
    TrainingConfig,
)
from training.devices import StudentPrecision
from training.errors import EvaluationError, TeacherError, TrainingError
from training.evaluation.plan import EvaluationOptions
from training.evaluation.splits import SPLIT_KINDS
from training.evaluation.teachers import check_teacher
from training.recipes import RECIPES
from training.teacher.answers.folder import TeacherInfo
from training.teacher.causal import CausalOptions
from training.teacher.choices import TeacherChoices, refuse_unread_choices
from training.teacher.defaults import Precision, Scores
from training.teacher.hardness import check_order
from training.teacher.named import parse_endpoint
from training.teacher.options import Budget, Choice
from training.teacher.readers import READERS, RENAMED
from understudy.cluster.errors import ClusterError
from understudy.cluster.options import check_cluster
from understudy.extras import needed
from understudy.graph.cached_graph import GraphSource, graph_folder
from understudy.graph.folder import read_meta
from understudy.graph.readers.label_descriptions import checked_descriptions
from understudy.plain_arguments import plain_arguments
from understudy.progress import Progress, silent

DISTILL = DistillChoices()
CAUSAL = CausalOptions()


@plain_arguments(TeacherError)
def teach(
    graph: GraphSource,
    out: Path | str,
    *,
    teacher: str = "encoder",
    hops: Sequence[int] | None = None,
    tokens: int | None = None,
    nested: bool | None = None,
    show_labels: bool = True,
    label_descriptions: Mapping[str, str] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    accumulate: int = 1,
    learning_rate: float | None = None,
    max_train_nodes: int = 0,
    max_nodes: int = 0,
    budget: int = 0,
    budget_choice: Choice | None = None,
    budget_hard: Mapping[str, float] | None = None,
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
    seed: int = 0,
    ray: str = "",
    workers: int = 0,
    progress: Progress = silent,
    force: bool = False,
) -> TeacherInfo:
    """Tunes a language model on a graph and asks it about every node; resumes after a kill.

    Args:
        graph: in memory, or its folder.
        out: teacher folder to write.
        teacher: encoder (MiniLM), encoder:FOLDER, gemma, gguf:FILE, a causal model's folder or
            hub id, an endpoint (openai:URL#model, decisions:URL#model, systemone:URL#model; the
            key is read from OPENAI_API_KEY), or a student's folder, as `distill` writes it.
        hops: to ask about; by default 0, 1 and 2, or 2 alone for an endpoint.
        tokens: length of a node's description; None, here and below, selects a value that suits
            the teacher.
        nested: a hop's description extends that of the hop before by one ring.
        show_labels: show neighbours' training labels in prompts.
        epochs: maximum number of tuning epochs.
        batch_size: prompts per step.
        accumulate: number of parts in which a step reads its prompts, to save memory.
        max_train_nodes: training nodes to tune a transformer on; 0 takes all.
        label_descriptions: a line about each label, shown in prompts.
        max_nodes: nodes to ask about; 0 asks about all.
        budget: number of questions to ask, one per node and hop; 0 is no limit.
        budget_choice: nodes to ask first: random (by default for `max_nodes`) or uncertain ones.
        budget_hard: difficulty of each node by id, used instead of the labels' uncertainty.
        tuned_layers: number of upper encoder layers to tune; 0 tunes all.
        frozen: tune only an encoder's head: the cheapest teacher.
        bf16: run an encoder in bfloat16.
        max_tokens: length of a causal model's whole prompt, including all labels.
        precision: of a causal model; auto is bfloat16 if the hardware supports it.
        scores: how an untuned causal model compares labels; auto is the best on validation.
        rank: of a causal model's adapters.
        four_bit: load a causal model's weights in 4 bits, on CUDA.
        gradient_checkpointing: of a causal model: less memory for more time.
        tokens_per_batch: when asking.
        ray: ask on a Ray cluster: local for one on this machine, auto for the running one, or
            HOST:PORT of its head; empty: in this process.
        workers: number of concurrent `ray` workers; 0: one per GPU, or per core without GPUs.
        force: replace `out` even if it is another kind of folder.

    Returns:
        The description of the teacher in `out`, with its accuracies among the metrics.

    Raises:
        ClusterError: no cluster can be joined, or its workers fail.
        FolderError, GraphError, TrainingError: see `understudy.folders.errors`,
            `understudy.graph.errors` and `training.errors`; also for an unread argument.
    """
    check_cluster(ray, workers)
    check_order(bool(budget or max_nodes), budget_hard is not None, budget_choice)
    folder = graph_folder(graph)
    described = label_descriptions and checked_descriptions(
        (("label_descriptions", *pair) for pair in label_descriptions.items()),
        read_meta(folder)["label_names"],
        "label_descriptions",
    )
    choices = TeacherChoices(
        teacher=teacher,
        hops=hops,
        tokens=tokens,
        nested=nested,
        show_labels=show_labels,
        label_descriptions=described or (),
        epochs=epochs,
        batch_size=batch_size,
        accumulate=accumulate,
        learning_rate=learning_rate,
        max_train_nodes=max_train_nodes,
        budget=Budget(
            max_nodes,
            budget,
            choice=budget_choice or ("uncertain" if budget or budget_hard else "random"),
            hard=budget_hard or {},
        )
        if max_nodes or budget
        else None,
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
        endpoint=parse_endpoint(teacher),
        seed=seed,
    )
    refuse_unread_choices(choices, READERS)
    if ray and choices.kind not in READERS["ray"]:
        raise ClusterError(
            f"ray is read by these teachers: {', '.join(READERS['ray'])}; this one is of the kind "
            f"'{choices.kind}', so leave it out"
        )
    with teacher_place(ray, workers, folder) if ray else nullcontext() as place:
        return teaching.teach(folder, Path(out), choices.options(), progress, force, place)


@plain_arguments(TrainingError)
def distill(
    graph: GraphSource,
    out: Path | str,
    *,
    teacher: Path | str | None = None,
    view: str | None = None,
    compare: bool = False,
    objectives: Mapping[str, float] | None = None,
    student: str = DISTILL.student,
    encoder: EncoderKind = DISTILL.encoder,
    encoder_path: Path | str | None = None,
    layers: int = DISTILL.layers,
    hidden: int = DISTILL.hidden,
    dropout: float = DISTILL.dropout,
    input_dropout: float = DISTILL.input_dropout,
    residual: bool = DISTILL.residual,
    normalization: Normalization = DISTILL.normalization,
    epochs: int = DISTILL.epochs,
    patience: int = DISTILL.patience,
    learning_rate: float = DISTILL.learning_rate,
    weight_decay: float = DISTILL.weight_decay,
    batch_size: int | None = DISTILL.batch_size,
    fanout: int = DISTILL.fanout,
    device: str = DISTILL.device,
    precision: StudentPrecision = DISTILL.precision,
    temperature: float = DISTILL.temperature,
    auto_accuracy: float = DISTILL.auto_accuracy,
    seed: int = DISTILL.seed,
    start: Path | str | None = None,
    ray: str = "",
    workers: int = 0,
    progress: Progress = silent,
    force: bool = False,
) -> dict[str, float]:
    """Trains a student network on a graph; validation accuracy picks the epoch.

    Args:
        graph: in memory, or its folder.
        out: student folder to write.
        teacher: teacher folder, see `teach`; None learns from the labels alone.
        view: of the teacher; None takes the best on validation.
        compare: also train without the teacher and from simpler parts of its answers; keep the
            student that is best on validation.
        objectives: weights by name, such as {"kd": 0.5}; None chooses by the teacher's answers.
        student: sage, gcn, gat, gin or mlp.
        encoder: minilm: a transformer; hashing: n-grams, much faster.
        encoder_path: MiniLM's folder, if it is not installed.
        hidden: width of every layer.
        epochs: maximum number of epochs.
        patience: epochs without a better validation accuracy before training stops.
        batch_size: nodes per step, with drawn neighbours; 0: the whole graph; None: the whole
            graph if it fits into memory, or 1,024 per worker with `ray`.
        fanout: neighbours drawn per node and hop, in batches.
        device: to train on: auto (CUDA if available), cpu, cuda, or cuda:1.
        precision: of the student's own products in training; its weights, sums over neighbours and
            losses are float32.
        temperature: of the teacher's soft labels.
        auto_accuracy: target accuracy of the student's own answers; once it is reached, `route:
            auto` does not ask the teacher.
        start: a student folder to start from; its network, its text encoder and the weights of
            labels known to both are taken over.
        ray, workers: train on a Ray cluster, see `teach`.
        force: replace `out` even if it is another kind of folder.

    Returns:
        Accuracy, macro-F1 and calibration error per split, such as test_accuracy, and more.

    Raises:
        ClusterError: no cluster can be joined, or its workers fail.
        FolderError, GraphError, TrainingError: see `understudy.folders.errors`,
            `understudy.graph.errors` and `training.errors`.
    """
    check_cluster(ray, workers)
    if ray:
        check_shared_device(device)
        check_shared_batch_size(batch_size)
    choices = DistillChoices(
        teacher=None if teacher is None else Path(teacher),
        view=view,
        compare=compare,
        objectives=objectives or {},
        student=student,
        encoder=encoder,
        encoder_path=None if encoder_path is None else Path(encoder_path),
        layers=layers,
        hidden=hidden,
        dropout=dropout,
        input_dropout=input_dropout,
        residual=residual,
        normalization=normalization,
        epochs=epochs,
        patience=patience,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        batch_size=batch_size,
        fanout=fanout,
        device=device,
        precision=precision,
        temperature=temperature,
        auto_accuracy=auto_accuracy,
        seed=seed,
        start=None if start is None else Path(start),
    )
    options = like_its_start(choices).options()
    folder = graph_folder(graph)
    own = student_place(ray, workers, folder, Path(out), options.encoder_path)
    with own if ray else nullcontext() as place:
        return distilling.distill(folder, Path(out), options, progress, force, place)


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
        recipes: objectives and controls, see docs/concepts/accuracy.md.
        trials: of the search on validation; the same number for every recipe.
        epochs: maximum number of epochs of a student.
        teacher: this and all arguments up to `tokens_per_batch`: see `teach`; neither an endpoint
            nor a student.
        device, student_precision: of the students, see `distill`.
        processes: number of processes that share the splits, and the cores.

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
