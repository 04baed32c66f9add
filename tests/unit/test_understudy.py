"""The command line itself, before any command."""

import tomllib
from pathlib import Path

import pytest

from understudy import COMMANDS, main

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def test_the_version_is_the_projects(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"understudy {PROJECT['version']}\n"


def test_help_lists_every_command_and_an_unknown_one_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    listed = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in listed] == []
    with pytest.raises(SystemExit) as ended:
        main(["distil"])
    assert ended.value.code == 2
    assert "distil" in capsys.readouterr().err
