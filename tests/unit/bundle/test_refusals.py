"""Bundles that must not be served: each refused by name."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import numpy as np
import onnx
import pytest

from bundle import (
    BundleDamagedError,
    BundleFormatError,
    BundleMissingError,
    Manifest,
    open_bundle,
    parse_manifest,
    write_bundle,
)
from bundle.sessions import Network
from bundle.student import LOGITS_FILE, layer_file
from service import Engine
from service.errors import BundleMismatchError
from tests.bundles import LABELS, rewrite, write_tiny_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "bundle").folder


def edit_manifest(folder: Path, **fields: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def flip_a_byte(folder: Path) -> None:
    path = folder / layer_file(1)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def truncate(folder: Path) -> None:
    path = folder / LOGITS_FILE
    path.write_bytes(path.read_bytes()[:-5])


def remove_a_file(folder: Path) -> None:
    (folder / LOGITS_FILE).unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [(flip_a_byte, "was changed"), (truncate, "bytes, the manifest says"), (remove_a_file, "miss")],
)
def test_a_damaged_file_is_named(
    folder: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(folder)
    with pytest.raises(BundleDamagedError, match=message):
        open_bundle(folder)


@pytest.mark.parametrize(
    ("version", "message"),
    [("2.0", "update understudy"), ("0.9", "export the student again"), ("new", "not like 1.0")],
)
def test_another_major_schema_is_refused(folder: Path, version: str, message: str) -> None:
    edit_manifest(folder, schema_version=version)
    with pytest.raises(BundleFormatError, match=message):
        open_bundle(folder)


def test_a_newer_minor_schema_is_read(folder: Path) -> None:
    edit_manifest(folder, schema_version="1.99", a_field_of_the_future=[1, 2])
    assert open_bundle(folder).manifest.label_names == LABELS


def test_a_manifest_of_schema_1_0_is_read(folder: Path) -> None:
    value = json.loads((folder / "manifest.json").read_text())
    value["schema_version"] = "1.0"
    for name in ("file", "precision"):
        del value["encoder"][name]
    del value["variants"]
    (folder / "manifest.json").write_text(json.dumps(value))
    assert open_bundle(folder).manifest.encoder.file == "encoder/encoder.onnx"


def test_no_bundle_and_half_a_manifest_are_told_apart(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleMissingError, match="understudy export"):
        open_bundle(tmp_path)
    path = folder / "manifest.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(BundleFormatError, match="not JSON"):
        open_bundle(folder)


def test_a_wrong_label_count_is_refused(folder: Path) -> None:
    rewrite(folder, {}, label_names=(*LABELS, "one too many"))
    with pytest.raises(BundleMismatchError, match="label"):
        Engine.open(folder)


def sign_again(folder: Path) -> None:
    """Makes the digests hold for the files as they are."""
    manifest = parse_manifest((folder / "manifest.json").read_text())

    def fill(target: Path) -> Manifest:
        copytree(folder, target, dirs_exist_ok=True)
        (target / "manifest.json").unlink()
        return manifest

    write_bundle(folder, fill)


@pytest.mark.parametrize("name", [layer_file(1), layer_file(2)])
def test_a_nan_weight_is_refused(folder: Path, name: str) -> None:
    model = onnx.load(folder / name)
    weights = next(entry for entry in model.graph.initializer if entry.name == "own")
    values = np.full(tuple(weights.dims), np.nan, np.float32)
    weights.CopyFrom(onnx.numpy_helper.from_array(values, "own"))
    onnx.save(model, folder / name)
    sign_again(folder)
    Network(folder / name)
    with pytest.raises(BundleMismatchError, match="first inference"):
        Engine.open(folder)


def test_a_nan_logit_is_refused(folder: Path) -> None:
    logits = np.load(folder / LOGITS_FILE)
    logits[3, 1] = np.nan
    rewrite(folder, {LOGITS_FILE: logits})
    with pytest.raises(BundleMismatchError, match="not finite"):
        Engine.open(folder)
