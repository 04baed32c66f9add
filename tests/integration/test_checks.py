"""Formatting, lint and types; these keep one core busy while another one runs tests."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("check", ["ruff format --check --quiet .", "ruff check --quiet .", "mypy"])
def test_formatting_lint_and_types_hold(check: str) -> None:
    command = [sys.executable, "-m", *check.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)
