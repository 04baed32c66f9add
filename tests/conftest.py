"""Fixtures that several rooms' tests share."""

import pytest
from hypothesis import settings

from tests.bundles import TinyBundle, write_tiny_bundle

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")


@pytest.fixture(scope="session", params=["hashing", "minilm"])
def any_bundle(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> TinyBundle:
    """A tiny bundle, once with either text encoder."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / request.param, request.param)


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> TinyBundle:
    """A tiny bundle whose texts are hashed."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")
