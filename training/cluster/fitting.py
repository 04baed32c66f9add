"""Trains a student on a cluster; Ray Train starts the workers and restarts them."""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import ray
import torch
from ray.train import CheckpointConfig as Kept
from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchConfig, TorchTrainer, get_device

from training.cluster.checkpoints import epochs_done, read_best, read_history
from training.cluster.places import check_shared_batch_size
from training.cluster.starting import train_loop
from training.cluster.workers import Workers
from training.config import Training
from training.data import GraphData, Targets, graph_data
from training.devices import AUTO
from training.distill import FittingElsewhere, fit
from training.encoders.features import graph_features
from training.errors import TrainingError
from training.loop import STAGE
from training.student.checkpoint import Checkpoint, CheckpointConfig, build_student
from training.student.network import Student
from understudy.cluster.errors import ClusterError
from understudy.cluster.failures import cluster_errors
from understudy.cluster.joining import Cluster
from understudy.cluster.places import load_same_graph
from understudy.folders import unfinished_folder
from understudy.progress import Progress

ATTEMPTS = 5  # maximum restarts after workers died
LONGEST = 6 * 3600  # seconds that workers wait for the one that evaluates
UNUSED = ("DatasetsCallback", "PlacementGroupCleanerCallback")  # callbacks of Ray Train, by name
GLANCE = 0.5  # seconds between two checks of how many epochs are done


@dataclass(frozen=True, slots=True)
class Work:
    """The parameters of a worker; it reads everything else from the graph's folder."""

    graph_folder: str  # absolute
    encoder_path: Path | None
    config: CheckpointConfig
    before: Checkpoint | None = None  # the student whose weights training starts from


class Trainer(TorchTrainer):
    """Ray Train's trainer without two helper processes that wake a hundred times a second.

    One distributes datasets, of which there are none. The other frees the workers' resources if the
    command is killed, which Ray does anyway with the job.
    """

    def _create_default_callbacks(self) -> list[Any]:
        offered = super()._create_default_callbacks()  # type: ignore[misc]  # of its second version
        return [callback for callback in offered if type(callback).__name__ not in UNUSED]


@contextmanager
def fitted_on(
    cluster: Cluster, graph_folder: Path, out: Path, encoder_path: Path | None
) -> Iterator[FittingElsewhere]:
    """Trains students on a cluster; their intermediate state is removed on success.

    That state is kept beside `out`, which all machines of the cluster must see by the same path.
    """
    kept: list[Path] = []

    def fit(
        config: CheckpointConfig, data: GraphData, progress: Progress, before: Checkpoint | None
    ) -> tuple[Student, Training]:
        work = Work(str(graph_folder.resolve()), encoder_path, config, before)
        kept.append(unfinished_folder(out, work_digest(work, cluster.workers)).absolute())
        return fitted(cluster, work, kept[-1], data, progress)

    yield FittingElsewhere(fit, cluster.workers)
    for folder in kept:
        shutil.rmtree(folder, ignore_errors=True)


def work_digest(work: Work, workers: int) -> str:
    """SHA-256 of everything that a run depends on, so that a different run does not resume it."""
    value = {**asdict(work.config), "workers": workers, "before": weights_digest(work.before)}
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def weights_digest(before: Checkpoint | None) -> str:
    """SHA-256 of the weights that training starts from; "" if there are none."""
    if before is None:
        return ""
    found = hashlib.sha256()
    for name, weights in sorted(before.student.state_dict().items()):
        found.update(name.encode())
        found.update(weights.numpy().tobytes())
    return found.hexdigest()


def fitted(
    cluster: Cluster, work: Work, folder: Path, data: GraphData, progress: Progress
) -> tuple[Student, Training]:
    """Trains a student, resuming from the state in `folder`.

    Raises:
        ClusterError: the workers die repeatedly.
        TrainingError, GraphError: see `training.distill.fit` and `load_same_graph`.
    """
    check_shared_batch_size(work.config.training.batch_size)
    share = shared_device(cluster, work.config.training.device)
    folder.mkdir(parents=True, exist_ok=True)
    failing = cluster_errors(TrainingError, raised=TrainingFailedError)
    with failing, watched(progress, folder, work.config.training.epochs):
        result = Trainer(
            train_loop,
            train_loop_config={"work": ray.put((work, data.targets, folder))},
            torch_config=TorchConfig(backend="gloo", timeout_s=LONGEST),
            scaling_config=ScalingConfig(
                num_workers=cluster.workers,
                use_gpu="GPU" in share,
                resources_per_worker=share,
            ),
            run_config=RunConfig(
                name="run",
                storage_path=str(folder),
                failure_config=FailureConfig(max_failures=ATTEMPTS),
                checkpoint_config=Kept(num_to_keep=1),
            ),
        ).fit()
    if result.checkpoint is None:
        raise ClusterError(f"the workers stored nothing in {folder}; see Ray's logs")
    student = build_student(work.config)
    with result.checkpoint.as_directory() as last:
        epochs, seconds = read_history(Path(last))
        student.load_state_dict(read_best(Path(last)))
    best = max(range(len(epochs)), key=lambda n: (epochs[n].val_accuracy, -n))
    return student.eval(), Training(epochs, best, seconds)


def shared_device(cluster: Cluster, device: str) -> dict[str, float]:
    """The resources of one worker, by the requested device.

    Raises:
        ClusterError: there are fewer GPUs than workers.
    """
    if device == "cpu":
        return {"CPU": 1}
    if device != AUTO:
        return cluster.share_with_gpu(f"--device {device}", "--device cpu")
    return cluster.share


def fit_share(work: Work, targets: Targets | None, folder: Path) -> None:
    """Runs in each worker: trains on its share of every step's seeds; the first worker writes the
    number of finished epochs into `folder`.
    """
    torch.set_num_threads(1)  # Ray assigns one core to each worker
    graph = load_same_graph(Path(work.graph_folder), work.config.graph_hash)
    features = graph_features(graph, work.config.encoder, work.encoder_path)
    data = replace(graph_data(graph, features), targets=targets)
    there = replace(work.config.training, device=str(get_device()))
    fit(replace(work.config, training=there), data, before=work.before, team=Workers(folder))


@contextmanager
def watched(progress: Progress, folder: Path, epochs: int) -> Iterator[None]:
    """Reports to `progress` the epochs that the first worker writes into `folder`.

    They are read from a file, because an actor that reports them would be another process on the
    workers' cores.
    """
    stopping = threading.Event()

    def listen() -> None:
        reported = 0
        while not stopping.wait(GLANCE):
            done = epochs_done(folder)
            if done != reported:
                progress(STAGE, done, epochs)
            reported = done

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield
    finally:
        stopping.set()
        listener.join()
    progress(STAGE, epochs, epochs)
