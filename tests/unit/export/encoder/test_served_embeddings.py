"""Cached embeddings of the served encoder: read if intact, otherwise computed again."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from export.encoder.files import WrittenEncoder, served_embeddings, served_file
from tests.unit.training.samples import NODES, small_graph
from training.encoders.features import MINILM_WIDTH
from understudy.folders.errors import OutputUnwritableError
from understudy.progress import silent


def test_a_torn_file_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "encoder.onnx").write_bytes(b"a network")
    encoder = cast(WrittenEncoder, SimpleNamespace(folder=tmp_path))
    graph, rows = small_graph(), np.random.default_rng(0).random((NODES, MINILM_WIDTH), np.float32)
    made: list[str] = []

    def make(*_: Any) -> NDArray[np.float32]:
        made.append("once")
        return rows

    def served() -> NDArray[np.float32]:
        return served_embeddings(graph, encoder, "encoder.onnx", lambda *_: None, make)

    for _ in range(2):
        np.testing.assert_array_equal(served(), rows)
    assert len(made) == 1
    path = served_file(graph, encoder, "encoder.onnx")
    path.write_bytes(path.read_bytes()[:-8])
    np.testing.assert_array_equal(served(), rows)
    assert len(made) == 2
    assert "is damaged" in caplog.text


def test_a_cache_that_takes_no_file_is_told_with_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").touch()
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "encoder.onnx").write_bytes(b"a network")
    encoder = cast(WrittenEncoder, SimpleNamespace(folder=tmp_path))
    rows = np.zeros((NODES, MINILM_WIDTH), np.float32)
    with pytest.raises(
        OutputUnwritableError, match="set UNDERSTUDY_CACHE to a writable folder"
    ) as raised:
        served_embeddings(small_graph(), encoder, "encoder.onnx", silent, lambda *_: rows)
    assert str(raised.value).startswith(f"{tmp_path / 'cache'}/features/")
