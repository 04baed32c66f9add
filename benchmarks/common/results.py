"""Results on disk: NAME.json for programs, NAME.md for readers, the machine's facts in both."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar

import msgspec
import typer

from benchmarks.common.machine import MachineFacts, machine_facts
from benchmarks.errors import BenchmarkError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RESULTS = Path(__file__).parents[1] / "results"
Contents = TypeVar("Contents")


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


def publish_results(
    name: str, results: "Mapping[str, object] | DataclassInstance", markdown: str
) -> None:
    """Prints a benchmark's table, then writes it and its figures, see `write_results`."""
    typer.echo(markdown)
    write_results(name, results if isinstance(results, Mapping) else asdict(results), markdown)


def write_results(name: str, results: Mapping[str, object], markdown: str) -> None:
    """Writes results/NAME.json, machine facts included, and results/NAME.md, and prints where."""
    RESULTS.mkdir(exist_ok=True)
    facts = machine_facts()
    whole = {"machine": facts, **results}
    text = json.dumps(whole, indent=2, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    packages = ", ".join(f"{package} {found}" for package, found in facts["packages"].items())
    machine = f"{facts['processor']}, {facts['cores']} cores; {packages}; {facts['date'][:10]}."
    (RESULTS / f"{name}.md").write_text(f"{markdown}\n{machine}\n", encoding="utf-8")
    typer.echo(f"written, in place of what was there: {RESULTS / name}.md and .json", err=True)


def read_results(path: Path, contents: type[Contents], command: str = "") -> Contents:
    """Reads a file of results as its benchmark's type.

    Args:
        contents: a dataclass or a TypedDict, of whose fields the file may have more
        command: that writes the file, where it is not `understudy bench NAME`

    Raises:
        BenchmarkError: the file cannot be read, or holds something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=contents)
    except OSError as error:
        writer = command or f"understudy bench {path.stem}"
        raise BenchmarkError(
            f"{path} cannot be read ({error.strerror}); `{writer}` writes it"
        ) from error
    except msgspec.ValidationError as error:
        raise BenchmarkError(f"{path} is not what its benchmark writes: {error}") from error
    except msgspec.DecodeError as error:
        raise BenchmarkError(f"{path} is no JSON: {error}") from error


class OfMachine(TypedDict):
    """What every file of results holds."""

    machine: MachineFacts


def made_on(path: Path) -> MachineFacts:
    """The machine of a file of results, and when it was written there; errors of `read_results`."""
    return read_results(path, OfMachine)["machine"]
