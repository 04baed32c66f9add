"""Results on disk: NAME.json for programs, NAME.md for readers, the machine's facts in both."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from benchmarks.common.machine import machine_facts
from benchmarks.errors import BenchmarkError

RESULTS = Path(__file__).parents[1] / "results"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def check_writable() -> None:
    """Refuses, before anything is measured, a folder of results that cannot be written.

    Raises:
        BenchmarkError: it cannot be.
    """
    try:
        RESULTS.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=RESULTS):
            pass
    except OSError as error:
        raise BenchmarkError(
            f"results are written to {RESULTS}, and cannot be: {error.strerror}"
        ) from error


def write_results(name: str, results: Mapping[str, Any], markdown: str) -> None:
    """Writes results/NAME.json, machine facts included, and results/NAME.md, and tells where."""
    RESULTS.mkdir(exist_ok=True)
    facts = machine_facts()
    text = json.dumps({"machine": facts, **results}, indent=2, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    packages = ", ".join(f"{package} {found}" for package, found in facts["packages"].items())
    machine = f"{facts['processor']}, {facts['cores']} cores; {packages}; {facts['date'][:10]}."
    (RESULTS / f"{name}.md").write_text(f"{markdown}\n{machine}\n", encoding="utf-8")
    typer.echo(f"written, in place of what was there: {RESULTS / name}.md and .json", err=True)
