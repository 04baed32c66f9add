"""From a teacher's answers to a served bundle that defers only if they are worth it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from export.bundle import export_bundle
from export.options import ExportOptions
from service.app import create_app
from service.settings import load_settings
from tests.http_servers import serve
from training.config import DistillOptions, StudentConfig, TrainingConfig
from training.distill import distill
from training.student.checkpoint import load_checkpoint
from training.teacher.answers.folder import (
    HopAnswers,
    TeacherInfo,
    read_info,
    write_teacher,
)
from training.teacher_server.app import create_app as teacher_app
from training.teacher_server.commands import identity
from understudy.engine.engine import Engine
from understudy.graph import TextGraph, load_graph, save_graph
from understudy.graph.prompts import Prompt, PromptOptions, prompt_hash
from understudy.graph.readers.synthetic import TITLE_WORDS, SyntheticOptions, synthetic_graph

PROMPTS = PromptOptions(tokens=50, nested=True)
HOPS = (0, 1)
CLASSES = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph whose texts tell little."""
    dials = SyntheticOptions(nodes=800, classes=CLASSES, text_signal=0.2, homophily=0.5, seed=2)
    path = tmp_path_factory.mktemp("auto") / "graph"
    save_graph(synthetic_graph(dials), path)
    return path


def scores(labels: NDArray[np.int64], right: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Log-probabilities of a teacher that takes the next label where it is not right."""
    answered = np.where(right, labels, (labels + 1) % CLASSES)
    return np.log(np.full((len(labels), CLASSES), 0.1) + 0.6 * np.eye(CLASSES)[answered]).astype(
        np.float32
    )


def teacher(folder: Path, graph: TextGraph, accuracy: float) -> NDArray[np.float32]:
    """Writes what a teacher said at two hops, and returns it at the better one, the second."""
    generator = np.random.default_rng(0)
    everybody = np.arange(graph.num_nodes)
    hops = [
        scores(graph.labels, generator.random(len(everybody)) < accuracy - loss)
        for loss in (0.2, 0.0)
    ]
    info = TeacherInfo(
        kind="causal",
        model="made up",
        model_hash="a" * 64,
        prompt_hash=prompt_hash(PROMPTS, graph.label_names),
        graph_hash=graph.content_hash,
        graph_name=graph.name,
        label_names=graph.label_names,
        hops=HOPS,
        settings={"prompts": asdict(PROMPTS)},
    )
    folder.mkdir()
    write_teacher(folder, info, HopAnswers(everybody, np.stack(hops)))
    return hops[1]


def accuracy(client: httpx.Client, graph: TextGraph, route: str) -> float:
    """On test nodes."""
    test = graph.splits["test"]
    nodes = [{"id": f"node-{node}"} for node in test.tolist()]
    answer = client.post("/classify", json={"nodes": nodes, "route": route})
    labels = [prediction["label"] for prediction in answer.json()["predictions"]]
    expected = [graph.label_names[label] for label in graph.labels[test].tolist()]
    return float(np.mean([a == b for a, b in zip(labels, expected, strict=True)]))


def options(folder: Path) -> DistillOptions:
    return DistillOptions(
        encoder="hashing",
        student=StudentConfig(kind="mlp", hidden=8, layers=1),
        training=TrainingConfig(epochs=8),
        teacher=folder,
        objectives={"cross_entropy": 1.0},
    )


@pytest.mark.timeout(900)  # exporting takes long on a busy machine
def test_a_teacher_that_is_better_is_asked_and_answers_get_better(
    folder: Path, tmp_path: Path
) -> None:
    graph = load_graph(folder)
    said = teacher(tmp_path / "teacher", graph, 0.95)
    distill(folder, tmp_path / "student", options(tmp_path / "teacher"))
    manifest = export_bundle(tmp_path / "student", tmp_path / "bundle", ExportOptions())
    rule = manifest.calibration.deferral
    assert manifest.teacher is not None
    assert manifest.teacher.hops == 1
    assert rule is not None
    assert rule.threshold is not None
    assert rule.tests == 40  # two signals, ten thresholds, two hops
    rows = {text.partition("\n")[0]: row for row, text in enumerate(graph.texts.to_pylist())}
    assert len(rows) > 700  # titles, nearly all distinct

    def answer(prompts: Sequence[Prompt]) -> NDArray[np.float32]:
        titles = [" ".join(prompt.description.split()[:TITLE_WORDS]) for prompt in prompts]
        return said[[rows[title] for title in titles]]

    teacher_identity = identity(tmp_path / "teacher", read_info(tmp_path / "teacher"))
    url, stop_teacher = serve(teacher_app("made up", graph.label_names, answer, teacher_identity))
    with Engine.open(tmp_path / "bundle") as engine:
        service, stop = serve(create_app(engine, load_settings(teacher_url=f"{url}/v1")))
        try:
            with httpx.Client(base_url=service, timeout=120) as client:
                alone = accuracy(client, graph, "student")
                assert client.get("/info").json()["served_teacher"]["state"] == "same"
                assert accuracy(client, graph, "auto") > alone + 0.1
        finally:
            stop()
            stop_teacher()


def test_a_teacher_that_is_worse_is_never_asked(folder: Path, tmp_path: Path) -> None:
    graph = load_graph(folder)
    teacher(tmp_path / "teacher", graph, 0.25)
    distill(folder, tmp_path / "student", options(tmp_path / "teacher"))
    rule = load_checkpoint(tmp_path / "student").calibration.deferral
    assert rule.threshold is None
    assert rule.student > rule.teacher
    assert rule.summary.startswith("auto never defers: at best, where ")
