"""Students on a separate device equal those of the processor."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trained_apart import ALSO_IN_BATCHES
from training.config import LABELS, OBJECTIVES, STUDENT_KINDS

ROOT = Path(__file__).parents[2]
CASES = (
    *(*STUDENT_KINDS, "own", "hashed", *(name for name in OBJECTIVES if name != LABELS)),
    *(f"{name} in batches" for name in (*STUDENT_KINDS, *ALSO_IN_BATCHES)),
)
CLOSE = 1e-5  # of weights after two epochs


@pytest.fixture(scope="module")
def differences() -> dict[str, float | str]:
    """Of students trained on a device that mixes with no other, see tests/apart_device.py."""
    command = [sys.executable, "-m", "tests.trained_apart"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found: dict[str, float | str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_student_of_a_device_apart_is_that_of_the_processor(
    case: str, differences: dict[str, float | str]
) -> None:
    found = differences[case]
    assert isinstance(found, float), found
    assert found < CLOSE
