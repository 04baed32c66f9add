"""`understudy.distill`: the distilling program as a function."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

from training import distill as distilling
from training.beginning import like_its_start
from training.cluster.places import check_shared_batch_size, check_shared_device, student_place
from training.config import DistillChoices, EncoderKind, Normalization
from training.devices import StudentPrecision
from training.errors import TrainingError
from understudy.cluster.options import check_cluster
from understudy.graph.cached_graph import GraphSource, graph_folder
from understudy.plain_arguments import plain_arguments
from understudy.progress import Progress, silent

DEFAULTS = DistillChoices()


@plain_arguments(TrainingError)
def distill(
    graph: GraphSource,
    out: Path | str,
    *,
    teacher: Path | str | None = None,
    view: str | None = None,
    compare: bool = False,
    objectives: Mapping[str, float] | None = None,
    student: str = DEFAULTS.student,
    encoder: EncoderKind = DEFAULTS.encoder,
    encoder_path: Path | str | None = None,
    layers: int = DEFAULTS.layers,
    hidden: int = DEFAULTS.hidden,
    dropout: float = DEFAULTS.dropout,
    input_dropout: float = DEFAULTS.input_dropout,
    residual: bool = DEFAULTS.residual,
    normalization: Normalization = DEFAULTS.normalization,
    epochs: int = DEFAULTS.epochs,
    patience: int = DEFAULTS.patience,
    learning_rate: float = DEFAULTS.learning_rate,
    weight_decay: float = DEFAULTS.weight_decay,
    batch_size: int | None = DEFAULTS.batch_size,
    fanout: int = DEFAULTS.fanout,
    device: str = DEFAULTS.device,
    precision: StudentPrecision = DEFAULTS.precision,
    temperature: float = DEFAULTS.temperature,
    auto_accuracy: float = DEFAULTS.auto_accuracy,
    seed: int = DEFAULTS.seed,
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
        layers: number of layers, which is the number of hops that the student sees.
        hidden: width of every layer.
        dropout: probability, on every activation.
        input_dropout: probability, on the input features.
        residual: adds a layer's input to its output.
        normalization: after the input and after every layer: layer or none.
        epochs: maximum number of epochs.
        patience: epochs without a better validation accuracy before training stops.
        learning_rate, weight_decay: of AdamW.
        batch_size: nodes per step, with drawn neighbours; 0: the whole graph; None: the whole
            graph if it fits into memory, or 1,024 per worker with `ray`.
        fanout: neighbours drawn per node and hop, in batches.
        device: to train on: auto (CUDA if available), cpu, cuda, or cuda:1.
        precision: of the student's own products in training; its weights, sums over neighbours and
            losses are float32.
        temperature: of the teacher's soft labels.
        auto_accuracy: target accuracy of the student's own answers; once it is reached, `route:
            auto` does not ask the teacher.
        seed: of weights, dropout and batches.
        start: a student folder to start from; its network, its text encoder and the weights of
            labels known to both are taken over.
        ray, workers: train on a Ray cluster, see `teach`.
        progress: called as work advances, with a stage, the amount done and the total.
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
    shared = student_place(ray, workers, folder, Path(out), options.encoder_path)
    with shared if ray else nullcontext() as place:
        return distilling.distill(folder, Path(out), options, progress, force, place)
