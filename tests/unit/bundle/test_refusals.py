"""Bundles that must not be served; each error names the reason."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import onnx
import pytest
from msgspec.structs import replace

from tests.bundles import LABELS, TinyBundle, rewrite, write_tiny_bundle
from understudy.bundle import (
    BundleDamagedError,
    BundleError,
    BundleFormatError,
    BundleMissingError,
    Manifest,
    open_bundle,
    parse_manifest,
    write_bundle,
)
from understudy.bundle.sessions import Network
from understudy.bundle.student import (
    INPUT_FILE,
    LOGITS_FILE,
    activation_file,
    dense_file,
    layer_file,
)
from understudy.bundle.text_encoder import ENCODER_FILE, TOKENIZER_FILE
from understudy.engine import Engine
from understudy.engine.errors import BundleMismatchError


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
    [
        (flip_a_byte, "was changed"),
        (truncate, r"bytes, but the manifest says \d+; copy the bundle again, or export"),
        (remove_a_file, "miss"),
    ],
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


def at(value: Any, *path: str) -> Any:
    for name in path:
        value = value[name]
    return value


@pytest.mark.parametrize(
    ("path", "wrong", "message"),
    [
        (("name",), 7, r"Expected `str`, got `int` - at `\$\.name`"),
        (("encoder", "dimension"), True, r"`int`, got `bool` - at `\$\.encoder\.dimension`"),
        (("encoder", "word_ngrams"), [1], r"length 2, got 1 - at `\$\.encoder\.word_ngrams`"),
        (("calibration", "temperature"), None, r"`float`, .* at `\$\.calibration\.temperature`"),
        (("label_names",), ["a", 1], r"`str`, got `int` - at `\$\.label_names\[1\]`"),
        (
            ("files", LOGITS_FILE, "bytes"),
            "9",
            r"`int`, .* at `\$\.files\[\.\.\.\]\.bytes`",
        ),
        (("graph", "position"), -1, r"Expected `int` >= 0 - at `\$\.graph\.position`"),
        (("graph", "position"), 2**53, r"Expected `int` <= 9007.* at `\$\.graph\.position`"),
        (("student", "hidden"), 0, r"Expected `int` >= 1 - at `\$\.student\.hidden`"),
        (("student", "layers"), -1, r"Expected `int` >= 1 - at `\$\.student\.layers`"),
        (("encoder", "dimension"), -7, r"Expected `int` >= 1 - at `\$\.encoder\.dimension`"),
        (("encoder", "max_tokens"), -1, r"Expected `int` >= 0 - at `\$\.encoder\.max_tokens`"),
        (("student", "kind"), "", r"length >= 1 - at `\$\.student\.kind`"),
        (("student", "kind"), "gcn", "'gcn', whose weighting is 'symmetric', .* is 'mean'"),
        (("student", "weighting"), "sum", "'sage', whose weighting is 'mean', .* is 'sum'"),
        (("student",), [], r"Expected `object`, got `array` - at `\$\.student`"),
    ],
)
def test_a_field_of_another_type_is_named(
    folder: Path, path: tuple[str, ...], wrong: object, message: str
) -> None:
    value = json.loads((folder / "manifest.json").read_text())
    at(value, *path[:-1])[path[-1]] = wrong
    edit_manifest(folder, **value)
    with pytest.raises(BundleFormatError, match=message) as caught:
        open_bundle(folder)
    assert str(caught.value).startswith(f"{folder}: manifest.json: ")


def test_a_registered_kind_of_student_has_any_weighting_but_that_of_gat(folder: Path) -> None:
    value = json.loads((folder / "manifest.json").read_text())
    value["student"]["kind"] = "gated"
    edit_manifest(folder, **value)
    assert open_bundle(folder).manifest.student.kind == "gated"
    value["student"]["weighting"] = "mask"
    edit_manifest(folder, **value)
    with pytest.raises(BundleFormatError, match=r"'mask', which is GAT's alone, .* is 'gated'"):
        open_bundle(folder)


@pytest.mark.parametrize("temperature", [0.0, -1.0, 1e-40, 1e308, math.nan, math.inf])
def test_a_temperature_that_no_score_can_be_divided_by_is_refused(
    folder: Path, temperature: float
) -> None:
    edit_manifest(folder, calibration={"temperature": temperature})
    with pytest.raises(
        BundleFormatError, match=r"calibration\.temperature must be a number above 0"
    ):
        open_bundle(folder)


@pytest.mark.parametrize("path", [("name",), ("graph", "name"), ("student", "kind")])
def test_a_name_that_would_end_a_line_is_refused(folder: Path, path: tuple[str, ...]) -> None:
    value = json.loads((folder / "manifest.json").read_text())
    at(value, *path[:-1])[path[-1]] = "two\nlines"
    edit_manifest(folder, **value)
    with pytest.raises(BundleFormatError, match=rf"json: {'.'.join(path)} contains a control char"):
        open_bundle(folder)


@pytest.mark.parametrize("path", [("label_names",), ("graph", "content_hash")])
def test_a_field_that_is_missing_is_named(folder: Path, path: tuple[str, ...]) -> None:
    value = json.loads((folder / "manifest.json").read_text())
    del at(value, *path[:-1])[path[-1]]
    (folder / "manifest.json").write_text(json.dumps(value))
    with pytest.raises(BundleFormatError, match=f"missing required field `{path[-1]}`"):
        open_bundle(folder)


def test_a_manifest_is_written_and_read_whole(folder: Path) -> None:
    """With a metric that is not a number, one that is an integer, and names beyond ASCII."""
    manifest = open_bundle(folder).manifest
    manifest = replace(manifest, name="größe", metrics={"a": math.nan, "b": math.inf, "c": 1e-7})
    text = manifest.to_json()
    value = json.loads(text)
    assert text == json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    assert list(value) == list(type(manifest).__struct_fields__)
    assert parse_manifest(text).to_json() == parse_manifest(text.encode()).to_json() == text
    read = parse_manifest(text.replace("1e-07", "1"))
    assert (read.metrics["c"], type(read.metrics["c"])) == (1.0, float)
    assert replace(read, metrics={}) == replace(manifest, metrics={})


def test_no_bundle_and_half_a_manifest_are_told_apart(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleMissingError, match="understudy export"):
        open_bundle(tmp_path)
    path = folder / "manifest.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(BundleFormatError, match="not JSON"):
        open_bundle(folder)


def no_utf8(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"tiny", b"t\xefny", 1))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def nested(path: Path) -> None:
    path.write_text("[" * 100_000)


def nul_in_a_name(path: Path) -> None:
    value = json.loads(path.read_text())
    value["files"]["graph/\0"] = {"bytes": 1, "sha256": ""}
    path.write_text(json.dumps(value))


def unknown_place(path: Path) -> None:
    value = json.loads(path.read_text())
    value["files"]["x" * 5_000] = {"bytes": 1, "sha256": ""}
    path.write_text(json.dumps(value))


@pytest.mark.parametrize("damage", [no_utf8, nested, nul_in_a_name, unknown_place])
def test_a_manifest_that_cannot_be_read_is_one_line_with_its_folder(
    folder: Path, damage: Callable[[Path], None]
) -> None:
    damage(folder / "manifest.json")
    with pytest.raises(BundleError) as caught:
        open_bundle(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_in_place_of_the_manifest_is_no_bundle(folder: Path) -> None:
    a_folder(folder / "manifest.json")
    with pytest.raises(BundleMissingError, match="is not a bundle"):
        open_bundle(folder)


def test_serve_says_what_is_wrong_in_a_line(folder: Path) -> None:
    no_utf8(folder / "manifest.json")
    done = subprocess.run(
        [sys.executable, "-m", "understudy", "serve", str(folder), "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {folder}: manifest.json is not UTF-8")
    assert done.stderr.count("\n") == 1


def unlist(folder: Path, *names: str) -> None:
    """Takes files out of the manifest; they stay in the folder."""
    value = json.loads((folder / "manifest.json").read_text())
    for name in names:
        del value["files"][name]
    (folder / "manifest.json").write_text(json.dumps(value))


def test_an_array_that_cannot_be_read_is_not_told_as_another_thing(folder: Path) -> None:
    bundle = open_bundle(folder)
    bundle.path(LOGITS_FILE).unlink()
    with pytest.raises(BundleDamagedError, match="npy cannot be read: No such file"):
        bundle.array(LOGITS_FILE)


def test_a_network_that_the_manifest_does_not_list_is_not_run(folder: Path) -> None:
    """Its digest was never compared: whoever could write there would be served."""
    (folder / dense_file(1)).write_bytes(b"not listed, and no network either")
    layer = Engine.open(folder).student.layers[0]
    assert isinstance(layer, Network)
    assert "aggregated" not in layer.inputs


NEEDED = [
    INPUT_FILE,
    layer_file(1),
    "graph/nodes.arrow",
    "graph/indptr.npy",
    "graph/indices.npy",
    "graph/graph.json",
    activation_file(0),
]


@pytest.mark.parametrize("name", NEEDED)
def test_a_file_that_is_needed_and_not_listed_is_named(folder: Path, name: str) -> None:
    unlist(folder, name)
    with pytest.raises(BundleDamagedError, match=f"does not contain {name}"):
        Engine.open(folder)


@pytest.mark.parametrize("name", [ENCODER_FILE, TOKENIZER_FILE])
def test_an_encoder_that_is_not_listed_is_named(tmp_path: Path, name: str) -> None:
    folder = write_tiny_bundle(tmp_path / "bundle", "minilm").folder
    unlist(folder, name)
    with pytest.raises(BundleDamagedError, match=f"does not contain {name}"):
        Engine.open(folder)


def test_an_encoder_outside_the_bundle_is_not_opened(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "bundle", "minilm").folder
    (tmp_path / "encoder.onnx").write_bytes((folder / ENCODER_FILE).read_bytes())
    value = json.loads((folder / "manifest.json").read_text())
    value["encoder"]["file"] = "../encoder.onnx"
    (folder / "manifest.json").write_text(json.dumps(value))
    with pytest.raises(BundleDamagedError, match=r"does not contain \.\./encoder\.onnx"):
        Engine.open(folder)


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


def test_a_manifest_of_an_older_release_tells_of_no_teacher(tiny_bundle: TinyBundle) -> None:
    value = json.loads((tiny_bundle.folder / "manifest.json").read_text(encoding="utf-8"))
    del value["teacher"]
    for name in ("deferral", "threshold_bound", "wanted"):
        del value["calibration"][name]
    value |= {"schema_version": "1.1"}
    value["calibration"]["threshold"] = 0.9
    manifest = parse_manifest(json.dumps(value))
    assert manifest.teacher is None
    assert manifest.calibration.deferral is None
    assert manifest.calibration.threshold == 0.9
