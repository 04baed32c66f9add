"""Stages on a local cluster of Ray with two workers of one core: the results of one process."""

import os
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

if find_spec("ray") is None:  # which `joined` imports, after it has told it to be quiet
    pytest.skip("Ray is not installed: pip install 'understudy-gnn[ray]'", allow_module_level=True)

from tests import mortal_teacher
from tests.language_models import write_tiny_encoder
from training.config import DistillOptions, StudentConfig, TrainingConfig
from training.distill import distill
from training.errors import TeacherError
from training.loop import STAGE as TRAINING
from training.student.checkpoint import load_checkpoint
from training.teacher.encoder import EncoderOptions
from training.teacher.extract import STAGE, WrittenPrompts
from training.teacher.local import LocalTeacher
from training.teacher.options import TeachOptions
from training.teacher.teach import teach
from training.teacher.tuning import TuningOptions
from understudy.cluster.errors import ClusterError
from understudy.cluster.joining import LOCAL, Cluster, joined
from understudy.graph import load_graph, save_graph
from understudy.graph.files import cache_folder
from understudy.graph.progress import Progress, silent
from understudy.graph.prompts import Prompt, PromptOptions
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

WORKERS = 2
pytestmark = [  # of Ray about itself, where it is called in this process
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERSTUDY_PLUGINS", "tests.mortal_teacher,tests.mortal_workers")
        patch.setenv("UNDERSTUDY_CACHE", str(tmp_path_factory.mktemp("cache")))
        with joined(LOCAL, WORKERS) as cluster:
            yield cluster


@pytest.fixture(scope="module")
def graph_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs") / "small"
    save_graph(synthetic_graph(SyntheticOptions(nodes=60, classes=3, mean_degree=4.0)), folder)
    return folder


def mortal(model: Path) -> TeachOptions:
    """Several parts; the tuned weights must travel, or the answers are others."""
    return TeachOptions(
        f"{mortal_teacher.KIND}:{model}",
        hops=(0, 1),
        prompts=PromptOptions(tokens=30),
        tuning=TuningOptions(epochs=1, batch_size=8, validation_nodes=10),
        encoder=EncoderOptions(max_tokens=30),
        tokens_per_batch=2_000,
        part_prompts=16,
    )


def test_a_teacher_asked_on_a_cluster_answers_the_same_though_an_actor_is_killed(
    cluster: Cluster, graph_folder: Path, tmp_path: Path
) -> None:
    model = write_tiny_encoder(tmp_path / "model", load_graph(graph_folder).texts.to_pylist())
    (model / mortal_teacher.SPARED).write_text(str(os.getpid()))
    options = mortal(model)
    teach(graph_folder, tmp_path / "here", options)
    told: dict[int, list[int]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        if stage == STAGE:
            told.setdefault(total, []).append(done)

    from training.cluster.asking import asked_on

    elsewhere = asked_on(cluster, graph_folder)
    teach(graph_folder, tmp_path / "there", options, progress, elsewhere=elsewhere)
    assert (model / mortal_teacher.KILLED).exists()
    asked = max(told)  # fewer are asked to fit a head before
    assert told[asked] == sorted(told[asked])
    assert len(set(told[asked])) == -(-asked // 16) + 1  # every part came once
    names = sorted(path.name for path in (tmp_path / "here").glob("*.safetensors"))
    assert names
    for name in names:
        here, there = (tmp_path / place / name for place in ("here", "there"))
        assert here.read_bytes() == there.read_bytes(), name


def test_what_stops_an_actor_is_told_as_it_is_here(cluster: Cluster, graph_folder: Path) -> None:
    from training.cluster.asking import answered

    parts = {0: WrittenPrompts(lambda node, hop: Prompt("", ""), np.array([[0, 0]]))}
    options = TeachOptions("encoder", tuning=TuningOptions(epochs=0))
    untuned = cast(LocalTeacher, None)  # the actors load their own
    with pytest.raises(TeacherError, match="so it needs at least one epoch of tuning"):
        list(answered(cluster, graph_folder, options, untuned, parts))


def test_of_an_error_that_only_announces_another_that_is_told_too() -> None:
    from ray.train import TrainingFailedError

    from understudy.cluster.failures import cluster_errors

    killed = "Training failed due to controller error:\n5 worker(s) were killed: low on memory\nX"
    told = r"failed: Training failed .* error: 5 worker\(s\) were killed: low on memory; what"
    failing = cluster_errors(raised=TrainingFailedError)
    with pytest.raises(ClusterError, match=told), failing:
        raise TrainingFailedError(killed)


OPTIONS = DistillOptions(
    encoder="hashing",
    student=StudentConfig(hidden=16, dropout=0.2),
    training=TrainingConfig(epochs=4, batch_size=24, fanout=4),
)


def distilled(
    cluster: Cluster, graph: Path, out: Path, progress: Progress = silent
) -> dict[str, float]:
    """The student's metrics but for its seconds."""
    from training.cluster.fitting import fitted_on

    with fitted_on(cluster, graph, out, None) as fit:
        return distill(graph, out, OPTIONS, progress, elsewhere=fit) | {"seconds": 0}


def same_students(first: Path, second: Path) -> None:
    expected, found = (load_checkpoint(folder).student.state_dict() for folder in (first, second))
    for name, weight in expected.items():
        torch.testing.assert_close(weight, found[name], rtol=1e-3, atol=1e-4)


def test_one_worker_trains_the_student_of_one_process(
    cluster: Cluster, graph_folder: Path, tmp_path: Path
) -> None:
    here = distill(graph_folder, tmp_path / "here", OPTIONS) | {"seconds": 0}
    there = distilled(replace(cluster, workers=1), graph_folder, tmp_path / "there")
    assert there == here
    same_students(tmp_path / "here", tmp_path / "there")


@pytest.mark.timeout(900)  # it starts Ray's workers four times
def test_two_workers_go_on_from_their_last_epoch_when_one_is_killed_and_when_all_are(
    cluster: Cluster, graph_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One dies, and all go on by themselves; one dies again, which is once too often, and the same
    command goes on."""
    from training.cluster import fitting

    told: list[int] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == TRAINING:
            told.append(done)

    whole = distilled(cluster, graph_folder, tmp_path / "whole")
    deaths = cache_folder() / "deaths"  # see tests/mortal_workers.py
    deaths.mkdir()
    for name in ("first", "second"):
        (deaths / name).touch()
    monkeypatch.setattr(fitting, "ATTEMPTS", 1)
    with pytest.raises(ClusterError, match="what was done is kept, and the same command goes on"):
        distilled(cluster, graph_folder, tmp_path / "out")
    assert not list(deaths.iterdir())
    assert not (tmp_path / "out").exists()
    assert distilled(cluster, graph_folder, tmp_path / "out", progress) == whole
    assert 1 not in told  # the first epoch was not trained again
    same_students(tmp_path / "whole", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]
