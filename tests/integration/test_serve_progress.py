"""`understudy serve` reports what it computes before it listens."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.bundles import TinyBundle
from understudy.bundle import Manifest, open_bundle, write_bundle


def test_activations_that_are_not_in_the_bundle_are_computed_with_progress(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    def fill(target: Path) -> Manifest:
        for name in ("graph", "student"):
            shutil.copytree(tiny_bundle.folder / name, target / name)
        return open_bundle(tiny_bundle.folder).manifest

    write_bundle(tmp_path / "bundle", fill)
    process = subprocess.Popen(
        [sys.executable, "-m", "understudy", "serve", str(tmp_path / "bundle"), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if "UNDERSTUDY" not in name},
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("listening on ")
    process.terminate()
    _, shown = process.communicate(timeout=60)
    assert "Computing activations" in shown
    assert "120/120" in shown
