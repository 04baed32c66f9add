"""Bundles whose parts do not fit each other are refused at opening."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from tests.bundles import HIDDEN, LABELS, NODES, TinyBundle, rewrite
from understudy.bundle import Manifest, open_bundle
from understudy.bundle.student import LOGITS_FILE, activation_file
from understudy.engine import Engine
from understudy.engine.errors import BundleMismatchError, EngineError


@pytest.fixture
def copy(tiny_bundle: TinyBundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle.folder, tmp_path / "bundle"))


def manifest_of(folder: Path) -> Manifest:
    return open_bundle(folder).manifest


def nan_logits() -> NDArray[np.float32]:
    logits = np.zeros((NODES, len(LABELS)), np.float32)
    logits[3, 1] = np.nan
    return logits


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        (LOGITS_FILE, np.zeros((NODES - 1, len(LABELS)), np.float32), "logits"),
        (LOGITS_FILE, np.zeros((NODES, len(LABELS) + 1), np.float32), "logits"),
        (LOGITS_FILE, np.zeros((NODES, len(LABELS)), np.float64), "float64"),
        (LOGITS_FILE, nan_logits(), "finite"),
        (activation_file(1), np.zeros((NODES, HIDDEN * 2), np.float32), "h1"),
        (activation_file(0), np.zeros((HIDDEN, NODES), np.float32).T, "row order"),
        (activation_file(0), np.ones((NODES, HIDDEN), np.float32), "first inference"),
        ("graph/indptr.npy", np.zeros(NODES + 1, np.int64), "row pointers"),
        ("graph/indices.npy", np.full(146, NODES, np.int32), "outside"),
    ],
)
def test_a_wrong_array_is_refused(
    copy: Path, name: str, array: NDArray[np.generic], words: str
) -> None:
    rewrite(copy, {name: array})
    with pytest.raises(BundleMismatchError, match=words):
        Engine.open(copy)


def test_another_graph_is_refused(copy: Path) -> None:
    rewrite(copy, {}, graph=replace(manifest_of(copy).graph, nodes=NODES + 1))
    with pytest.raises(BundleMismatchError, match="unlike the manifest"):
        Engine.open(copy)


def test_other_labels_are_refused(copy: Path) -> None:
    rewrite(copy, {}, label_names=tuple(reversed(LABELS)))
    with pytest.raises(BundleMismatchError, match="unlike the manifest"):
        Engine.open(copy)


@pytest.mark.parametrize("change", [{"word_ngrams": (1, 3)}, {"digest": "0" * 64}, {"kind": "x"}])
def test_another_way_of_reading_texts_is_refused(copy: Path, change: dict[str, object]) -> None:
    rewrite(copy, {}, encoder=replace(manifest_of(copy).encoder, **change))
    with pytest.raises(EngineError):
        Engine.open(copy)


def test_an_unknown_weighting_is_refused(copy: Path) -> None:
    rewrite(copy, {}, student=replace(manifest_of(copy).student, weighting="median"))
    with pytest.raises(BundleMismatchError, match="median"):
        Engine.open(copy)
