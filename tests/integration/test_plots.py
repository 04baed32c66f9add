"""What drawing logs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_home_that_cannot_be_written_is_no_matter_of_the_plots(tmp_path: Path) -> None:
    """The library advised to name another folder, in the middle of a command's lines."""
    (tmp_path / "file").touch()
    variables = dict(os.environ, HOME=str(tmp_path / "file" / "home"), PYTHONPATH=str(ROOT))
    for name in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        variables.pop(name, None)
    words = "import training.evaluation.plots\nimport logging\n"
    words += "assert logging.getLogger('matplotlib').level == logging.NOTSET"
    ended = subprocess.run(
        [sys.executable, "-c", words], env=variables, capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""
