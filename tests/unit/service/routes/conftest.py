"""What the routes' tests share."""

import pytest

from tests.bundles import TinyBundle
from understudy.engine import Engine


@pytest.fixture
def engine(tiny_bundle: TinyBundle) -> Engine:
    return Engine.open(tiny_bundle.folder)
