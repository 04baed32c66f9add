"""A separate service for each test, without a port."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from service.app import Service, create_app
from service.settings import Settings
from tests.bundles import TinyBundle
from understudy.engine import Engine


@pytest.fixture
def engine(tiny_bundle: TinyBundle) -> Iterator[Engine]:
    with Engine.open(tiny_bundle.folder) as opened:
        yield opened


@pytest.fixture
def app(engine: Engine) -> Service:
    return create_app(engine, Settings())


@pytest.fixture
def client(app: Service) -> TestClient:
    return TestClient(app, base_url="http://localhost")
