"""A bundle written by the real export: proven again, served, turned into a Triton repository."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export.bundle import export_bundle
from export.checks import gates
from export.checks.bundle import check_bundle
from export.errors import GateError, ParityError, StaleError
from export.options import ExportOptions
from export.triton import write_repository
from training.config import DistillOptions, StudentConfig, Training, TrainingConfig
from training.distill import distill
from training.student.checkpoint import load_checkpoint, save_checkpoint
from understudy.bundle import (
    BundleDamagedError,
    Manifest,
    open_bundle,
    parse_manifest,
    write_bundle,
)
from understudy.bundle.card import CARD_FILE, RECIPE_FILE, full_facts
from understudy.bundle.student import LOGITS_FILE, dense_file, open_student, variant_folder
from understudy.engine import Engine
from understudy.engine.errors import BundleMismatchError
from understudy.graph import load_graph, save_graph
from understudy.graph.building.reading import Reading
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph folder and a student folder side by side."""
    folder = tmp_path_factory.mktemp("export")
    graph = synthetic_graph(SyntheticOptions(nodes=200, classes=3))
    used = {"id": ("id",), "text": ("Summary", "Details"), "neighbors": ("Related",)}
    nodes = Reading("nodes.csv", used)
    save_graph(replace(graph, reading={"files": [nodes.value()]}), folder / "graph")
    options = DistillOptions(
        encoder="hashing",
        student=StudentConfig(kind="gcn", layers=1, hidden=40),
        training=TrainingConfig(epochs=15),
    )
    distill(folder / "graph", folder / "student", options)
    return folder


@pytest.fixture(scope="module")
def exported(trained: Path) -> Path:
    options = ExportOptions(name="small", student_precisions=("int8", "fp16"))
    export_bundle(trained / "student", trained / "bundle", options)
    return trained / "bundle"


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "bundle"))


def sign_again(folder: Path) -> None:
    """Makes the digests hold for the files as they are."""
    manifest = parse_manifest((folder / "manifest.json").read_text())

    def fill(target: Path) -> Manifest:
        shutil.copytree(folder, target, dirs_exist_ok=True)
        (target / "manifest.json").unlink()
        return manifest

    write_bundle(folder, fill)


def test_it_is_proven_again(exported: Path) -> None:
    report = check_bundle(exported)
    assert set(report.differences) == {"input", "layers", "gathering layers", "whole student"}
    assert max(report.differences.values()) <= 1e-4
    assert "cpu" in report.providers


def test_its_card_tells_how_it_was_made_and_names_no_place(exported: Path, trained: Path) -> None:
    facts = full_facts(open_bundle(exported))
    assert facts["recipe"]["training"]["epochs"] == 15
    assert facts["recipe"]["terms"] == {"cross_entropy": 1.0}
    assert facts["graph"]["splits"].keys() == {"train", "val", "test"}
    assert facts["graph"]["texts"] == ("Summary", "Details")
    assert facts["graph"]["neighbors"] == "Related"
    assert facts["metrics"]["test"]["accuracy"] == facts_of_student(trained)["test_accuracy"]
    card = (exported / CARD_FILE).read_text()
    assert "| training.epochs | 15 |" in card.splitlines()
    assert facts["graph"]["content_hash"] in card
    for file in (exported / CARD_FILE, exported / RECIPE_FILE):
        assert str(trained) not in file.read_text()


def facts_of_student(trained: Path) -> dict[str, float]:
    return load_checkpoint(trained / "student").metrics


def test_it_says_what_it_holds(exported: Path) -> None:
    manifest = open_bundle(exported).manifest
    assert manifest.name == "small"
    assert manifest.schema_version == "1.3"
    assert max(manifest.parity.values()) <= 1e-4
    assert set(manifest.variants) == {variant_folder("int8"), variant_folder("fp16")}
    for info in manifest.variants.values():
        assert info.accuracy_change >= -0.2
        assert info.cosine > 0.99


def test_nothing_in_it_names_the_machine_it_was_made_on(exported: Path) -> None:
    here = str(Path(__file__).parents[2]).encode()
    for path in exported.rglob("*.onnx"):
        assert here not in path.read_bytes()


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_a_variant_runs_and_is_close(exported: Path, precision: str) -> None:
    bundle = open_bundle(exported)
    network = open_student(exported, bundle.manifest.student, 1, "cpu", precision)
    h = np.asarray(bundle.array("activations/h0.npy"))[:5]
    exact = open_student(exported, bundle.manifest.student, 1, "cpu")
    feeds = {"h": h, "aggregated": h}
    assert gates.smallest_cosine(network.layers[0](feeds), exact.layers[0](feeds)) > 0.99


@pytest.mark.parametrize("damage", ["flip", "truncate"])
def test_the_check_refuses_a_damaged_file(copied: Path, damage: str) -> None:
    path = copied / dense_file(1)
    content = path.read_bytes()
    path.write_bytes(content[:-1] if damage == "truncate" else content[:-1] + b"\x01")
    with pytest.raises(BundleDamagedError):
        check_bundle(copied)


def test_a_nan_weight_is_refused_by_the_check_and_by_the_engine(copied: Path) -> None:
    model = onnx.load(copied / dense_file(1))
    weights = max(model.graph.initializer, key=lambda entry: int(np.prod(entry.dims)))
    values = onnx.numpy_helper.to_array(weights).copy()
    values[0, 0] = np.nan
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    onnx.save(model, copied / dense_file(1))
    sign_again(copied)
    with pytest.raises(ParityError, match="not finite"):
        check_bundle(copied)
    with pytest.raises(BundleMismatchError, match="first inference"):
        Engine.open(copied)


def test_other_stored_logits_are_refused(copied: Path) -> None:
    logits = np.load(copied / LOGITS_FILE)
    np.save(copied / LOGITS_FILE, logits + np.float32(0.01))
    sign_again(copied)
    with pytest.raises(ParityError, match="differs from the stored values"):
        check_bundle(copied)


def test_a_wrong_label_count_is_refused(copied: Path) -> None:
    logits = np.load(copied / LOGITS_FILE)
    np.save(copied / LOGITS_FILE, logits[:, :-1])
    sign_again(copied)
    with pytest.raises(ParityError, match="the manifest demands"):
        check_bundle(copied)
    with pytest.raises(BundleMismatchError):
        Engine.open(copied)


def test_a_student_with_a_nan_weight_is_not_exported(trained: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(trained / "student")
    with torch.no_grad():
        checkpoint.student.head.weight[0, 0] = torch.nan
    config, calibration = checkpoint.config, checkpoint.calibration
    nothing = Training([], 0, 0.0)
    save_checkpoint(tmp_path / "student", config, checkpoint.student, nothing, {}, calibration)
    with pytest.raises(ParityError, match=r"head\.weight"):
        export_bundle(tmp_path / "student", tmp_path / "bundle", ExportOptions())
    assert not (tmp_path / "bundle").exists()


def test_another_graph_is_refused(trained: Path, tmp_path: Path) -> None:
    save_graph(synthetic_graph(SyntheticOptions(nodes=210, classes=3)), tmp_path / "graph")
    with pytest.raises(StaleError, match="train again"):
        export_bundle(
            trained / "student", tmp_path / "bundle", ExportOptions(graph=tmp_path / "graph")
        )


def test_a_variant_that_fails_its_gate_stops_the_export(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gates.MIN_COSINES, "int8", 1.1)
    with pytest.raises(GateError, match="student in int8 was not written: its cosine"):
        export_bundle(
            trained / "student",
            tmp_path / "bundle",
            ExportOptions(student_precisions=("int8",)),
        )
    assert not (tmp_path / "bundle").exists()


def test_a_triton_repository_matches_the_files(exported: Path, tmp_path: Path) -> None:
    names = write_repository(exported, tmp_path / "models")
    assert set(names) == {"input", "layer1", "dense1", "student"}
    hidden, classes = 40, load_graph(exported.parent / "graph").num_classes
    for name in names:
        text = (tmp_path / "models" / name / "config.pbtxt").read_text()
        graph = onnx.load(tmp_path / "models" / name / "1" / "model.onnx").graph
        for entry in (*graph.input, *graph.output):
            assert f'{{ name: "{entry.name}" data_type: TYPE_' in text
        assert text.count("{ name:") == len(graph.input) + len(graph.output)
    dense = (tmp_path / "models/dense1/config.pbtxt").read_text()
    assert "max_batch_size: 64" in dense
    assert f'{{ name: "h" data_type: TYPE_FP32 dims: [ {hidden} ] }}' in dense
    assert f'{{ name: "logits" data_type: TYPE_FP32 dims: [ {classes} ] }}' in dense
    layer = (tmp_path / "models/layer1/config.pbtxt").read_text()
    assert "max_batch_size: 0" in layer
    assert f'{{ name: "table" data_type: TYPE_FP32 dims: [ -1, {hidden} ] }}' in layer
    assert '{ name: "index" data_type: TYPE_INT64 dims: [ -1, -1 ] }' in layer
    assert "dynamic_batching" in dense
    assert "dynamic_batching" not in layer
