"""Builds the site in the repository's own layout, so that links need no rewriting.

What GitHub shows at docs/guides/data.md is the site's docs/guides/data.html; the README is its
first page. Nothing is fetched, neither while it is built nor while it is read.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from documents.errors import DocumentError
from documents.links import problems

ROOT = Path(__file__).parents[1]
CONFIGURATION = "zensical.toml"
PARTS = ("README.md", "CHANGELOG.md", "LICENSE", "docs", "examples", "benchmarks/results")
SHOWN_PROBLEMS = 20


def build_site(folder: Path, root: Path = ROOT) -> Path:
    """Builds the site, with broken links as errors; returns its folder.

    Args:
        folder: where to build; `source` and `site` in it are replaced.
        root: the repository.

    Raises:
        DocumentError: a link leads nowhere, or something would be fetched from elsewhere.
    """
    stage(root, folder)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    done = subprocess.run(
        [*command, "--config-file", str(folder / CONFIGURATION)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "NO_COLOR": "1"},
    )
    if done.returncode:
        raise DocumentError(f"the site cannot be built:\n{done.stdout.partition('Traceback')[0]}")
    if found := list(problems(folder / "site")):
        lines = [str(problem) for problem in found[:SHOWN_PROBLEMS]]
        raise DocumentError(f"{len(found)} problems of the site:\n" + "\n".join(lines))
    return folder / "site"


def stage(root: Path, folder: Path) -> None:
    """Copies the site's pages, in the repository's layout, beside its configuration."""
    for name in ("source", "site"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for part in PARTS:
        target = folder / "source" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (root / part).is_dir():
            shutil.copytree(root / part, target)
        else:
            shutil.copyfile(root / part, target)
    shutil.copyfile(root / CONFIGURATION, folder / CONFIGURATION)
