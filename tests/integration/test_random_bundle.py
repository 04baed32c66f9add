"""Random bundles outside of a test run, as `understudy bench scale` makes them."""

import os
import subprocess
import sys
from pathlib import Path

from tests.shared_folder import VARIABLE
from understudy.bundle import open_bundle

CODE = """
import sys
from pathlib import Path
from benchmarks.common.random_bundle import make_bundle
make_bundle(Path(sys.argv[1]), 100)
"""


def test_a_benchmark_makes_its_bundle_outside_of_a_run_of_the_tests(tmp_path: Path) -> None:
    variables = {name: value for name, value in os.environ.items() if name != VARIABLE}
    variables["TMPDIR"] = str(tmp_path)
    command = [sys.executable, "-c", CODE, str(tmp_path / "bundle")]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert open_bundle(tmp_path / "bundle").manifest.graph.nodes == 100
    assert not list(tmp_path.glob("students-*"))  # it leaves nothing behind
