"""Commands that another command runs."""

from pathlib import Path

import pytest

from understudy.command_line.subcommands import run_command


def test_what_comes_next_is_told_by_the_command_that_runs_another_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_command("data", "synthetic", tmp_path / "graph", "--nodes", 60) == 0
    output = capfd.readouterr().out
    assert "60 nodes" in output
    assert "next: " not in output
