"""Stages on a local Ray cluster of two workers give the results of one process."""

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

if find_spec("ray") is None:  # which `joined` imports, after it has told it to be quiet
    pytest.skip("Ray is not installed: pip install 'understudy-gnn[ray]'", allow_module_level=True)

from benchmarks.ray_stages.ways import killing
from export.bundle import export_bundle
from export.encoder.files import WrittenEncoder, embed
from export.options import ExportOptions
from export.passes import LocalPasses, StudentFeatures, student_inputs
from export.student.activations import STAGE as COMPUTING
from export.student.forms import Form
from tests import mortal_teacher
from tests.bundles import MAX_TOKENS, TinyBundle, write_tiny_bundle
from tests.language_models import write_tiny_encoder
from training.config import DistillOptions, StudentConfig, Training, TrainingConfig
from training.data import GraphData
from training.distill import FittingElsewhere, distill
from training.encoders.features import dense_features, minilm_spec
from training.encoders.minilm import MiniLM
from training.errors import TeacherError
from training.loop import STAGE as TRAINING
from training.student.checkpoint import Checkpoint, CheckpointConfig, load_checkpoint
from training.student.network import Student
from training.teacher.encoder import EncoderOptions
from training.teacher.extract import STAGE, WrittenPrompts
from training.teacher.local import LocalTeacher
from training.teacher.options import TeachOptions
from training.teacher.teach import teach
from training.teacher.tuning import TuningOptions
from understudy.bundle import open_bundle
from understudy.bundle.student import LOGITS_FILE, activation_file
from understudy.bundle.text_encoder import ENCODER_FILE
from understudy.client import Node
from understudy.cluster.errors import ClusterError
from understudy.cluster.joining import LOCAL, Cluster, joined
from understudy.engine import Engine
from understudy.graph import load_graph, save_graph
from understudy.graph.files import cache_folder
from understudy.graph.prompts import Prompt, PromptOptions
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph
from understudy.predict.answering import Answerer, InProcess
from understudy.predict.rows import Answer, Row
from understudy.predict.run import Problems, Run
from understudy.progress import Progress, silent

WORKERS = 2
VARIABLES = {
    # Of Ray Train, in seconds: it looks after its workers, and lets a hanging one be.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S": "1",
    # Its workers would give way to all other tests: what took a minute alone took five beside them.
    "RAY_worker_niceness": "0",
}
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
        for name, value in VARIABLES.items():
            patch.setenv(name, value)
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
    reports: dict[int, list[int]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        if stage == STAGE:
            reports.setdefault(total, []).append(done)

    from training.cluster.asking import on_cluster

    elsewhere = on_cluster(cluster, graph_folder)
    teach(graph_folder, tmp_path / "there", options, progress, elsewhere=elsewhere)
    assert (model / mortal_teacher.KILLED).exists()
    asked = max(reports)  # fewer are asked to fit a head before
    assert reports[asked] == sorted(reports[asked])
    assert len(set(reports[asked])) == -(-asked // 16) + 1  # every part came once
    names = sorted(path.name for path in (tmp_path / "here").glob("*.safetensors"))
    assert names
    for name in names:
        here, there = (tmp_path / place / name for place in ("here", "there"))
        assert here.read_bytes() == there.read_bytes(), name


def test_a_worker_s_failure_is_reported_as_in_this_process(
    cluster: Cluster, graph_folder: Path
) -> None:
    from ray.util import placement_group, remove_placement_group

    from training.cluster.asking import answered

    parts = {0: WrittenPrompts(lambda node, hop: Prompt("", ""), np.array([[0, 0]]))}
    options = TeachOptions("encoder", tuning=TuningOptions(epochs=0))
    untuned = cast(LocalTeacher, None)  # the actors load their own
    with pytest.raises(TeacherError, match="so it needs at least one epoch of tuning") as kept:
        list(answered(cluster, graph_folder, options, untuned, parts))
    cores = placement_group([{"CPU": 1}] * WORKERS)
    assert cores.wait(60), f"an actor keeps its core for as long as somebody keeps {kept.value!r}"
    remove_placement_group(cores)


def test_an_error_that_only_announces_its_cause_is_reported_with_the_cause() -> None:
    from ray.train import TrainingFailedError

    from understudy.cluster.failures import cluster_errors

    killed = "Training failed due to controller error:\n5 worker(s) were killed: low on memory\nX"
    message = (
        r"failed: Training failed .* error: 5 worker\(s\) were killed: low on memory; finished"
    )
    failing = cluster_errors(raised=TrainingFailedError)
    with pytest.raises(ClusterError, match=message), failing:
        raise TrainingFailedError(killed)


OPTIONS = DistillOptions(
    encoder="hashing",
    student=StudentConfig(hidden=16, dropout=0.2),
    training=TrainingConfig(epochs=4, batch_size=24, fanout=4),
)


def distilled(
    cluster: Cluster, graph: Path, out: Path, progress: Progress = silent
) -> dict[str, float]:
    """The student's metrics but for its seconds; what its workers found is what they say."""
    from training.cluster.fitting import fitted_on

    fits: list[Training] = []

    with fitted_on(cluster, graph, out, None) as place:

        def fit(
            config: CheckpointConfig, data: GraphData, progress: Progress, before: Checkpoint | None
        ) -> tuple[Student, Training]:
            student, training = place.fit(config, data, progress, before)
            fits.append(training)
            return student, training

        there = FittingElsewhere(fit, place.workers)
        metrics = distill(graph, out, OPTIONS, progress, elsewhere=there)
    (training,) = fits
    best = training.epochs[training.best_epoch]
    assert best.val_accuracy == pytest.approx(metrics["val_accuracy"])
    return metrics | {"seconds": 0}


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

    reports: list[int] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == TRAINING:
            reports.append(done)

    whole = distilled(cluster, graph_folder, tmp_path / "whole")
    deaths = cache_folder() / "deaths"  # see tests/mortal_workers.py
    deaths.mkdir()
    for name in ("first", "second"):
        (deaths / name).touch()
    monkeypatch.setattr(fitting, "ATTEMPTS", 1)
    with pytest.raises(ClusterError, match="finished work is kept, and the same command resumes"):
        distilled(cluster, graph_folder, tmp_path / "out")
    assert not list(deaths.iterdir())
    assert not (tmp_path / "out").exists()
    assert distilled(cluster, graph_folder, tmp_path / "out", progress) == whole
    assert 1 not in reports  # the first epoch was not trained again
    same_students(tmp_path / "whole", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]


@pytest.fixture(scope="module")
def exported(
    cluster: Cluster, graph_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle whose activations two workers computed, of which one was killed."""
    from export.cluster import sharing

    home = tmp_path_factory.mktemp("exported")
    options = replace(OPTIONS, student=replace(OPTIONS.student, layers=1))
    distill(graph_folder, home / "student", replace(options, training=TrainingConfig(epochs=1)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharing, "NODES_A_RANGE", 8)
        place = partial(sharing.shared_passes, cluster)
        progress = killing("ray::RangeWorker", COMPUTING)
        export_bundle(home / "student", home / "bundle", ExportOptions(), progress, elsewhere=place)
    return home / "bundle"


def same_rows(found: NDArray[Any], expected: NDArray[Any]) -> None:
    """But for the last bits: rows are put together otherwise."""
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_bundle_exported_on_a_cluster_holds_what_this_process_computes(
    exported: Path, graph_folder: Path
) -> None:
    bundle, graph = open_bundle(exported), load_graph(graph_folder)
    spec = load_checkpoint(exported.parent / "student").config.encoder
    form, given = Form(exported, bundle.manifest.student), student_inputs(graph, spec, None, silent)
    h0, logits = LocalPasses().activations(graph, form, given, silent)
    same_rows(bundle.array(activation_file(0)), h0)
    same_rows(bundle.array(LOGITS_FILE), logits)
    assert {path.name for path in exported.iterdir()} == {
        *("manifest.json", "MODEL_CARD.md", "recipe.json", "activations", "graph", "student")
    }
    names = {f"activations/{path.name}" for path in (exported / "activations").iterdir()}
    assert names == {activation_file(0), LOGITS_FILE}


def test_embeddings_and_what_is_made_of_them_are_those_of_one_process(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from export.cluster import sharing

    monkeypatch.setattr(sharing, "NODES_A_RANGE", 8)
    monkeypatch.setattr(sharing, "TEXTS_A_RANGE", 16)
    tiny = write_tiny_bundle(tmp_path / "tiny", "minilm")
    save_graph(tiny.graph, tmp_path / "graph")
    graph, bundle = load_graph(tmp_path / "graph"), open_bundle(tiny.folder)
    original = cast(MiniLM, SimpleNamespace(max_tokens=MAX_TOKENS))
    encoder = WrittenEncoder(tiny.folder, original, 1, 0.0)
    shards, file = tmp_path / "shards", tmp_path / "embeddings.npy"
    with sharing.shared_passes(cluster, graph, tmp_path / "graph", shards) as passes:
        values = passes.embeddings(graph, encoder, ENCODER_FILE, silent)
        np.save(file, values)
        given = StudentFeatures(dense_features(np.array(values)), minilm_spec(), file)
        form = Form(tiny.folder, bundle.manifest.student)
        found = passes.activations(graph, form, given, silent)
    expected = embed(graph, encoder, ENCODER_FILE, silent)
    assert len(np.unique(expected, axis=0)) > 1
    same_rows(values, expected)
    names = [*map(activation_file, range(form.info.layers)), LOGITS_FILE]
    for name, one in zip(names, found, strict=True):
        same_rows(one, bundle.array(name))
    assert not shards.exists()


def test_rows_answered_on_a_cluster_are_answered_the_same_though_a_worker_is_killed(
    cluster: Cluster, tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    from understudy.predict.sharing import shared_answers

    monkeypatch.setattr(InProcess, "batch", 8)
    asked = [Node(id="node-1"), Node(text="http socket", neighbors=("node-2",)), Node(id="none")]
    rows = [
        Row(place, f"in:{place}", None if place % 20 == 7 else asked[place % 3], "unreadable")
        for place in range(200)
    ]

    def answered(answerer: Answerer, progress: Progress) -> list[Answer]:
        problems = Problems(strict=False, tell=lambda words: None)
        run = Run(answerer, 2, problems, progress, len(rows))
        return [answer for part in run.parts(rows) for answer in part]

    with Engine.open(tiny_bundle.folder) as engine:
        expected = answered(InProcess(engine), silent)
        reporting = killing("ray::AnsweringWorker", "classify")
        with shared_answers(cluster, tiny_bundle.folder, engine, "cpu") as answerer:
            assert answered(answerer, reporting) == expected
    assert len(expected) == len(rows)
    assert {answer.error is None for answer in expected} == {True, False}


def test_a_worker_that_sees_another_bundle_says_so(
    cluster: Cluster, tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    from understudy.predict.sharing import AnsweringWorker

    with pytest.raises(ClusterError, match=r"has no folder .*have the bundle at the same path"):
        AnsweringWorker(str(tmp_path / "nowhere"), "1", "cpu").work(([], 1))
    with pytest.raises(ClusterError, match="holds a different bundle than"):
        AnsweringWorker(str(tiny_bundle.folder), "1", "cpu").work(([], 1))
