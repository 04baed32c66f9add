"""`--objective`, parsed before torch is imported."""

import subprocess
import sys

import pytest

from training.cli.distill import parse_objectives
from training.errors import TrainingError


def test_names_and_weights() -> None:
    assert parse_objectives(["kd=0.5", "nd"]) == {"kd": 0.5, "nd": 1.0}
    assert parse_objectives([]) == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["magic"], "unknown objective 'magic'; choose from cross_entropy, kd"),
        (["kd=much"], "--objective must be like kd=0.5, not 'kd=much'"),
        (["kd=nan"], "the weight of 'kd' must be a number of at least 0: nan"),
        (["kd=-1"], "the weight of 'kd' must be a number of at least 0: -1.0"),
        (["cross_entropy=0"], "no objective has a weight above 0"),
        (["kd=1", "kd=2"], "--objective kd is given twice"),
    ],
)
def test_nonsense_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        parse_objectives(words)


def test_it_is_read_without_torch() -> None:
    code = "import sys, training.cli.distill; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
