"""Fixtures that several rooms' tests share."""

import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import shared_folder
from tests.bundles import TinyBundle, write_tiny_bundle
from tests.redis_server import ALL_KEPT, VALKEY, RedisServer, redis_server

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")


gc.disable()  # while all tests are imported, which makes half a million things and more


def pytest_collection_finish() -> None:
    """The collector passes over what all tests' imports have made: else each of its rounds walks
    them."""
    gc.freeze()
    gc.enable()


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


@pytest.fixture(scope="session", autouse=True)
def sharing(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Lets workers have what others have made, see `tests.shared_folder`."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    os.environ[shared_folder.VARIABLE] = str(shared)


@pytest.fixture(scope="session")
def running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis"), ALL_KEPT) as server:
        yield server


@pytest.fixture(scope="session")
def running_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("valkey"), ALL_KEPT, VALKEY) as server:
        yield server


@pytest.fixture
def redis(request: pytest.FixtureRequest) -> RedisServer:
    """An empty one that keeps what it acknowledged, even if it is killed.

    A parameter names another fixture that has one.
    """
    server: RedisServer = request.getfixturevalue(getattr(request, "param", "running_redis"))
    server.client.flushall()
    return server
