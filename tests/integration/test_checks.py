"""Formatting, lint and types, which hold one core for minutes while another one runs tests."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(1_200)
def test_formatting_lint_and_types_hold() -> None:
    checked = subprocess.run(
        [ROOT / "scripts" / "check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
