"""Calls the command in this process."""

from collections.abc import Callable

import pytest

from tests.predicting import Ended
from understudy.cli import main


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def run(*words: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(["predict", *map(str, words)])
        return int(ended.value.code or 0), capsys.readouterr().err

    return run
