"""What onnxruntime runs a network on: the requested provider, or an error."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.bundles import HIDDEN, TinyBundle
from understudy.bundle import ProviderError
from understudy.bundle.runtime import onnxruntime
from understudy.bundle.sessions import PROVIDERS, Network
from understudy.bundle.student import layer_file

AVAILABLE = onnxruntime.get_available_providers()


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_answers_as_the_processor_does(tiny_bundle: TinyBundle, provider: str) -> None:
    if PROVIDERS[provider] not in AVAILABLE:
        pytest.skip(f"this onnxruntime has no {PROVIDERS[provider]}")
    path = tiny_bundle.folder / layer_file(1)
    generator = np.random.default_rng(0)
    feeds: dict[str, NDArray[np.generic]] = {
        "h": generator.standard_normal((3, HIDDEN)).astype(np.float32),
        "table": generator.standard_normal((9, HIDDEN)).astype(np.float32),
        "index": generator.integers(0, 9, (3, 4)),
        "weight": generator.random((3, 4), np.float32),
    }
    found = Network(path, provider=provider)(feeds)
    np.testing.assert_allclose(found, Network(path)(feeds), atol=1e-5)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_is_missing_is_an_error(tiny_bundle: TinyBundle, provider: str) -> None:
    if PROVIDERS[provider] in AVAILABLE:
        pytest.skip(f"{provider} is here")
    with pytest.raises(ProviderError, match="was requested"):
        Network(tiny_bundle.folder / layer_file(1), provider=provider)


def test_an_unknown_provider_is_named(tiny_bundle: TinyBundle) -> None:
    with pytest.raises(ProviderError, match="'tpu'; choose from cpu, cuda, tensorrt"):
        Network(tiny_bundle.folder / layer_file(1), provider="tpu")
