"""scripts/setup after an interrupted attempt."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WITHOUT_ENSUREPIP = """#!/bin/sh
# Python as Debian has it without its package python3-venv: the folder is made, but without pip.
[ "$*" = "-m venv .venv" ] || exec "{python}" "$@"
"{python}" -m venv --without-pip .venv && exit 1
"""


def test_an_environment_without_pip_is_made_again(tmp_path: Path) -> None:
    for name in ("scripts/setup", "pyproject.toml", "requirements/all.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / "python"
    python.write_text(WITHOUT_ENSUREPIP.format(python=Path(sys.base_prefix, "bin", "python3")))
    python.chmod(0o755)
    for _ in range(2):
        done = subprocess.run(
            [tmp_path / "scripts" / "setup"],
            env={**os.environ, "PYTHON": str(python)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            "error: cannot make .venv; on Debian, install the package python3-venv"
        ]
        assert (tmp_path / ".venv" / "bin" / "python").exists()
