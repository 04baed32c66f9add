"""onnxruntime sends no telemetry, and leaves no file in the home folder."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOMS = ("understudy", "training", "export", "service", "benchmarks", "documents")
OF_BUILDS = ("CI", "GITHUB_ACTIONS", "TF_BUILD")  # variables that keep it quiet by themselves


@pytest.mark.parametrize(
    "code",
    [
        "import understudy.bundle.sessions",
        "from understudy.environment import providers; providers()",
        "from understudy import Engine",
    ],
)
def test_nothing_is_kept_or_sent_where_it_is_loaded(tmp_path: Path, code: str) -> None:
    """What keeps facts for sending makes a folder for them first."""
    kept = {name: value for name, value in os.environ.items() if name not in OF_BUILDS}
    kept |= {"HOME": str(tmp_path), "ORT_DISABLE_TELEMETRY": "", "PYTHONPATH": str(ROOT)}
    kept.pop("XDG_CACHE_HOME", None)
    words = f"{code}\nimport os, sys\nassert 'onnxruntime' in sys.modules"
    subprocess.run([sys.executable, "-c", words], check=True, env=kept)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_every_room_imports_it_from_here() -> None:
    """A module that imported it by itself, and first, would have it report."""
    own = ROOT / "understudy" / "bundle" / "runtime.py"
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        parts = {name for name in names if name.partition(".")[0] == "onnxruntime"}
        allowed = path == own or "understudy.bundle.runtime" in names
        assert not parts or allowed, path
