"""Suggested commands can be pasted into a shell, whatever the folders' names are."""

import shlex
import sys
from pathlib import Path

import pytest

from understudy.command_line.next_step import command, program


def test_a_folder_whose_name_begins_with_a_dash_is_not_read_as_an_option() -> None:
    words = shlex.split(command("distill", Path("-graph"), "--from", Path("a b"), "-1"))
    assert words[len(program()) :] == ["distill", "./-graph", "--from", "a b", "-1"]


def test_a_link_on_the_path_is_this_program_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "understudy").symlink_to(Path(sys.executable).parent / "understudy")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == ["understudy"]
