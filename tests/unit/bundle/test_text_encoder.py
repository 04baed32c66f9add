"""A bundle's transformer reads each text once."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.bundles import write_tiny_bundle
from understudy.bundle import open_bundle
from understudy.bundle.text_encoder import open_text_encoder


def test_equal_texts_are_encoded_once_and_answered_in_their_places(tmp_path: Path) -> None:
    bundle = open_bundle(write_tiny_bundle(tmp_path / "tiny", "minilm").folder)
    encoder = open_text_encoder(bundle, bundle.manifest.encoder)
    texts = ["a pump that leaks", "an invoice", "a pump that leaks", "a pump", "an invoice"]
    expected = np.concatenate([encoder([text]) for text in texts])
    network, rows = encoder.network, 0

    def counted(inputs: dict[str, NDArray[np.generic]]) -> NDArray[np.float32]:
        nonlocal rows
        rows += len(inputs["input_ids"])
        return network(inputs)

    encoder.network = counted  # type: ignore[assignment]
    np.testing.assert_allclose(encoder(texts), expected, atol=1e-6)
    assert rows == 3
