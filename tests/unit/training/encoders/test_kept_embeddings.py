"""Embeddings in the cache: as they were written, or made again."""

from pathlib import Path

import numpy as np
import pytest

from training.encoders.features import MINILM_WIDTH, kept_embeddings, write_rows


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
