"""Fixtures of the routes' tests."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.bundles import TinyBundle
from understudy.engine import Engine


@pytest.fixture
def engine(tiny_bundle: TinyBundle) -> Engine:
    return Engine.open(tiny_bundle.folder)


@pytest.fixture(scope="module")
def client(tiny_bundle: TinyBundle) -> Iterator[TestClient]:
    with Engine.open(tiny_bundle.folder) as engine:
        app = create_app(engine, Settings())
        with TestClient(app, base_url="http://localhost") as client:
            yield client
