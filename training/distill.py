"""Trains a student from a graph, with or without a teacher, and writes it to disk."""

import logging
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from training.calibration import FEW_NODES, calibrate_student, score
from training.config import (
    TRAINING,
    DistillOptions,
    Training,
    is_heard,
)
from training.data import GraphData, graph_data
from training.devices import AUTO, device_title, found_device, free_on
from training.encoders.features import PROCESSOR, encoder_spec, graph_features
from training.errors import CheckpointError, DeviceError, DivergedError
from training.loop import ALONE, Team, predict, train
from training.losses.objectives import make_terms
from training.memory import BATCH, chosen_batch, graph_size
from training.recipes import TITLES, Candidate, candidates
from training.student.checkpoint import (
    Checkpoint,
    CheckpointConfig,
    build_student,
    load_checkpoint,
    save_checkpoint,
)
from training.student.network import Student
from training.student.warm_start import begin_with, check_start, doubt_about
from training.teacher.answers.views import served_teacher
from understudy.counting import counted
from understudy.folders import FolderError, check_output, check_space, reserved, unchanged
from understudy.folders.kinds import STUDENT
from understudy.graph import TextGraph, check_split, load_graph
from understudy.graph.errors import SourceError, first_line
from understudy.graph.files import cache_folder
from understudy.graph.lineage import lineage_of
from understudy.graph.trainable import check_trainable
from understudy.progress import Progress, named, silent

Fit = Callable[[CheckpointConfig, GraphData, Progress, Checkpoint | None], tuple[Student, Training]]
Tell = Callable[[int, str], None]  # reports a decision: a level as in `logging`, and a message
log = logging.getLogger(__name__)
CONVERGED = 0.99  # share of the best validation accuracy at which training has converged
STEPS = 16  # minimum number of steps in an epoch, however many workers share them


@dataclass(frozen=True, slots=True)
class FittingElsewhere:
    """A replacement for `fit` that trains students outside this process."""

    fit: Fit
    workers: int  # number that share a step's nodes


def distill(
    graph_folder: Path,
    out: Path,
    options: DistillOptions,
    progress: Progress = silent,
    force: bool = False,
    elsewhere: FittingElsewhere | None = None,
) -> dict[str, float]:
    """Trains a student on a graph's training split, picks its epoch on validation, writes it.

    The test split is read once, at the end, for the metrics that are returned and written.

    Args:
        force: replace a folder of another kind, too.
        elsewhere: fits the student instead of this process.

    Raises:
        FolderError, GraphError, TrainingError: see `understudy.folders.errors`,
            `understudy.graph.errors` and `training.errors`.
    """
    check_output(out, STUDENT, options.inputs(graph_folder), force)
    options = placed(graph_folder, options, log.log, elsewhere)
    with reserved(out):
        return distilled(graph_folder, out, options, progress, elsewhere.fit if elsewhere else fit)


def placed(
    graph_folder: Path,
    options: DistillOptions,
    tell: Tell,
    elsewhere: FittingElsewhere | None = None,
) -> DistillOptions:
    """Resolves the device, and switches to batches if memory is short or several workers train.

    Args:
        tell: reports what was decided automatically

    Raises:
        DeviceError: the requested device is not available.
        GraphError: see `training.memory.graph_size`.
    """
    if elsewhere is not None:
        return shared(graph_folder, options, tell, elsewhere.workers)
    device = found_device(options.training.device)
    chosen = replace(options.training, device=str(device))
    if options.training.device == AUTO and device != PROCESSOR:
        tell(
            logging.INFO, f"training on {device_title(device)}; use --device cpu for the processor"
        )
    if device == PROCESSOR and chosen.precision == "bfloat16":
        tell(logging.WARNING, "bfloat16 is slower on most processors; leave --precision out")
    if options.fitting:
        choice = chosen_batch(graph_size(graph_folder), options, free_on(device))
        tell(logging.WARNING if choice.seeds else logging.INFO, choice.reason)
        chosen = replace(chosen, batch_size=choice.seeds)
        if not choice.seeds and chosen.fanout != TRAINING.fanout:
            tell(
                logging.WARNING,
                f"--fanout {chosen.fanout} has no effect: it applies only to batches",
            )
    return replace(options, training=chosen, fitting=False)


def shared(graph_folder: Path, options: DistillOptions, tell: Tell, workers: int) -> DistillOptions:
    """Chooses a step's nodes unless they were given: one worker's usual number for each worker,
    but few enough for at least STEPS steps per epoch.
    """
    if not options.fitting:
        return options
    size = graph_size(graph_folder)
    passed = size.train if options.teacher is None else size.nodes
    seeds = max(BATCH, min(BATCH * workers, passed // STEPS))
    tell(logging.INFO, f"{seeds:,} nodes per step, shared by {workers} workers; see --batch-size")
    return replace(options, training=replace(options.training, batch_size=seeds), fitting=False)


def distilled(
    graph_folder: Path, out: Path, options: DistillOptions, progress: Progress, fit: Fit
) -> dict[str, float]:
    """Does the work of `distill`, for an output that has been checked."""
    graph = load_graph(graph_folder)
    check_split(graph)
    check_trainable(graph)
    with nullcontext() if options.teacher is None else unchanged(options.teacher):
        offered = candidates(
            graph,
            options.teacher,
            options.view,
            options.objectives,
            options.compare,
            options.student,
        )
        served = None if options.teacher is None else served_teacher(options.teacher, graph)
    config = checkpoint_config(graph_folder, graph, options)
    before = None if options.start is None else load_checkpoint(options.start)
    if before is not None:
        check_start(config, before)
        if doubt := doubt_about(config, before):
            log.warning(doubt)
    if options.teacher is not None and not is_heard(options.objectives):
        log.warning("no objective uses the teacher; it is only measured for `route: auto`")
    check_space(out, student_bytes(config))
    features = graph_features(graph, config.encoder, options.encoder_path, progress)
    data = graph_data(graph, features)
    config, student, training, compared = fit_best(config, data, offered, fit, progress, before)
    logits = predict(student, data)
    metrics = student_metrics(student, data, training, logits) | compared
    validation = data.val.numpy()
    if len(validation) < FEW_NODES:
        log.warning(
            "only %s for the choice of the epoch and the calibration: scores and accuracies may be "
            "far off; label more nodes, or put more into validation",
            counted(len(validation), "labelled validation node"),
        )
    calibration = calibrate_student(
        logits.numpy(),
        graph.labels,
        graph.adjacency,
        validation,
        options.auto_accuracy,
        served.check(validation) if served else None,
    )

    def save(folder: Path) -> None:
        save_checkpoint(folder, config, student, training, metrics, calibration, served)

    keep_student(out, save)
    return metrics


def checkpoint_config(
    graph_folder: Path, graph: TextGraph, options: DistillOptions
) -> CheckpointConfig:
    """The part of a student's config that is known before training."""
    return CheckpointConfig(
        student=options.student,
        training=options.training,
        encoder=encoder_spec(options.encoder),
        graph_path=str(graph_folder.resolve()),
        graph_name=graph.name,
        graph_hash=graph.content_hash,
        label_names=graph.label_names,
        terms={},
        objectives=options.constants,
        lineage=lineage_of(graph),
    )


def student_bytes(config: CheckpointConfig) -> int:
    """Size of a student's weights."""
    with torch.device("meta"):  # shapes only
        student = build_student(config)
    return sum(w.numel() * w.element_size() for w in student.state_dict().values())


def keep_student(out: Path, save: Callable[[Path], None]) -> None:
    """Writes a trained student; if `out` can no longer be written, to another place.

    Raises:
        CheckpointError: it is not in `out`; the message names its place.
    """
    try:
        save(out)
    except (FolderError, OSError) as error:
        for base in other_places():
            kept = base / f"{out.resolve().name[:100]}-{uuid.uuid4().hex[:8]}"
            try:
                save(kept)
            except (FolderError, OSError):
                continue  # try the next place; if there is none, the first error is raised
            raise CheckpointError(
                f"{error}; the trained student is kept in {kept}, and can be exported from there"
            ) from error
        raise


def other_places() -> Iterator[Path]:
    """Places to save a student whose own place cannot be written."""
    with suppress(SourceError):  # there is no home folder
        yield cache_folder() / "students"
    yield Path(tempfile.gettempdir())


def fit_best(
    config: CheckpointConfig,
    data: GraphData,
    offered: Sequence[Candidate],
    fit: Fit,
    progress: Progress = silent,
    before: Checkpoint | None = None,
) -> tuple[CheckpointConfig, Student, Training, dict[str, float]]:
    """Trains every candidate; returns the best on validation, the first if several tie.

    Returns:
        Its config, the student, its training record; and with several candidates, the validation
        accuracy of each, as val_accuracy_NAME.
    """
    best: list[tuple[CheckpointConfig, Student, Training]] = []
    accuracies: dict[str, float] = {}
    for candidate in offered:
        own = replace(config, terms=candidate.weights, teacher=candidate.teacher)
        own_progress = named(progress, TITLES[candidate.name]) if len(offered) > 1 else progress
        student, training = fit(own, replace(data, targets=candidate.targets), own_progress, before)
        accuracy = training.epochs[training.best_epoch].val_accuracy
        if accuracy > max(accuracies.values(), default=-1.0):
            best = [(own, student, training)]
        accuracies[f"val_accuracy_{candidate.name}"] = accuracy
    return *best[0], accuracies if len(offered) > 1 else {}


def fit(
    config: CheckpointConfig,
    data: GraphData,
    progress: Progress = silent,
    before: Checkpoint | None = None,
    team: Team = ALONE,
) -> tuple[Student, Training]:
    """Trains a student, initialised from the config's seed or from an earlier student's weights.

    The student is drawn before any objective's parameters, so that every loss starts from the same
    student. Weights are drawn on the CPU, so that they are the same for any device.
    """
    torch.manual_seed(config.training.seed)
    student = build_student(config)
    if before is not None:
        begin_with(student, config.label_names, before)
    device = found_device(config.training.device)
    with room_on(device):
        data = data.to(device, whole=not config.training.batch_size)
        terms = make_terms(config.terms, data, config.student, config.objectives)
        for module in (student, *(term.objective for term in terms)):
            module.to(device)
        torch.manual_seed(config.training.seed)
        training = train(student, data, terms, config.training, progress, team)
    return student.to(PROCESSOR), training


@contextmanager
def room_on(device: torch.device) -> Iterator[None]:
    """Turns a device's out-of-memory error into advice.

    Raises:
        DeviceError: the device's memory does not suffice.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"out of memory on {device_title(device)}: {first_line(error)}; choose a smaller "
            "--batch-size or --hidden, or --device cpu"
        ) from error


def student_metrics(
    student: Student, data: GraphData, training: Training, logits: Tensor | None = None
) -> dict[str, float]:
    """Accuracy, macro-F1 and calibration error per split; size, epochs, convergence, seconds.

    Raises:
        DivergedError: a logit is not finite, although the loss was up to the last step.
    """
    logits = predict(student, data) if logits is None else logits
    if not bool(torch.isfinite(logits).all()):
        raise DivergedError("the student's scores are not finite; lower --learning-rate")
    metrics: dict[str, float] = {}
    for name, nodes in (("train", data.train), ("val", data.val), ("test", data.test)):
        if len(nodes):
            scores = score(logits[nodes].numpy(), data.labels[nodes].numpy())
            metrics |= {f"{name}_{key}": value for key, value in asdict(scores).items()}
    return metrics | {
        "parameters": sum(weights.numel() for weights in student.parameters()),
        "best_epoch": training.best_epoch + 1,
        "convergence_epoch": convergence_epoch(training),
        "epochs": len(training.epochs),
        "seconds": round(training.seconds, 3),
    }


def convergence_epoch(training: Training) -> int:
    """The first epoch, from 1, that reaches 99% of the best validation accuracy."""
    wanted = CONVERGED * training.epochs[training.best_epoch].val_accuracy
    return next(n for n, epoch in enumerate(training.epochs, 1) if epoch.val_accuracy >= wanted)
