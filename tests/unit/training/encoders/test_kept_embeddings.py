"""Cached embeddings and hashed texts: read as written, or computed again."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, normalizers

from tests.unit.training.samples import NODES, small_graph
from training.encoders import features
from training.encoders.features import (
    MINILM_WIDTH,
    HashedFeatures,
    cached_file,
    encoder_spec,
    graph_features,
    kept_embeddings,
    write_rows,
)
from training.encoders.minilm import find_model, load_minilm
from training.errors import EncoderError


def test_a_torn_file_of_embeddings_is_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rows.npy"
    assert kept_embeddings(path, 4) is None
    assert not caplog.text
    rows = np.arange(4 * MINILM_WIDTH, dtype=np.float32).reshape(4, MINILM_WIDTH)
    with path.open("wb") as stream:
        write_rows(stream, [rows[:3], rows[3:]], 4, MINILM_WIDTH)
    kept = kept_embeddings(path, 4)
    assert kept is not None
    np.testing.assert_array_equal(kept, rows)
    whole = path.read_bytes()
    for size in (0, 50, len(whole) - 1):
        path.write_bytes(whole[:size])
        caplog.clear()
        assert kept_embeddings(path, 4) is None
        assert "rows.npy is damaged" in caplog.text
        assert "texts are encoded again" in caplog.text


def hashed(stages: list[str]) -> HashedFeatures:
    stages.clear()
    found = graph_features(
        small_graph(), encoder_spec("hashing"), progress=lambda stage, *_: stages.append(stage)
    )
    assert isinstance(found, HashedFeatures)
    return found


def test_texts_of_a_large_graph_are_hashed_once_for_all_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path))
    stages: list[str] = []
    rows = hashed(stages).matrix(np.arange(NODES)).toarray()
    assert not (tmp_path / "features").exists()  # of a small one it takes no time
    monkeypatch.setattr(features, "KEPT_FROM", 0)
    hashed(stages)
    assert set(stages) == {"Hashing texts"}
    again = hashed(stages)
    assert set(stages) == {"Reading hashed texts from the cache"}
    assert np.array_equal(again.matrix(np.arange(NODES)).toarray(), rows)
    path = cached_file(encoder_spec("hashing").digest, small_graph(), ".words")
    whole = path.read_bytes()
    for size in (0, 200, len(whole) - 1):
        path.write_bytes(whole[:size])
        caplog.clear()
        assert np.array_equal(hashed(stages).matrix(np.arange(NODES)).toarray(), rows)
        assert "Hashing texts" in stages
        assert "is damaged" in caplog.text
        assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_told_and_hinders_no_hashing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(features, "KEPT_FROM", 0)
    monkeypatch.setenv("UNDERSTUDY_CACHE", "/dev/null/cache")
    assert len(hashed([])) == NODES
    assert "hashed texts cannot be cached for the next command" in caplog.text


def test_the_published_weights_with_another_tokenizer_are_refused(tmp_path: Path) -> None:
    own = find_model(None)
    for path in own.iterdir():
        if path.is_file():
            (tmp_path / path.name).symlink_to(path)
    assert load_minilm(tmp_path).dimension == MINILM_WIDTH
    tokenizer = Tokenizer.from_file(str(own / "tokenizer.json"))
    tokenizer.normalizer = normalizers.Replace("e", "o")
    (tmp_path / "tokenizer.json").unlink()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(EncoderError, match="holds a different tokenizer than the"):
        load_minilm(tmp_path)
