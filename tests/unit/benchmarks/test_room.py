"""Every module of the room is a command that runs, except the shared ones."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOM = ROOT / "benchmarks"
PAGE = (ROOT / "docs" / "concepts" / "benchmarks.md").read_text(encoding="utf-8")
SHARED = {"common", "serving"}
NO_COMMANDS = SHARED | {"__init__", "__pycache__", "commands", "errors", "results"}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOM.rglob("*.py")
}
COMMANDS = sorted({path.stem for path in ROOM.iterdir()} - NO_COMMANDS)


def imported_by(path: Path) -> Iterator[str]:
    """The room's modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            of_package = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from ({str(node.module)} | of_package) & MODULES.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_name_is_a_command_that_runs_and_that_the_page_lists(name: str) -> None:
    module = MODULES.get(f"benchmarks.{name}.__main__", MODULES[f"benchmarks.{name}"])
    assert '\nif __name__ == "__main__":\n    run_script(' in module.read_text(encoding="utf-8")
    ways = (f"understudy bench {name} ", f"python -m benchmarks.{name}", f"`{name}`")
    assert any(way in PAGE for way in ways), f"docs/concepts/benchmarks.md does not list {name}"


def test_modules_form_no_cycle() -> None:
    graph = {name: set(imported_by(path)) - {name} for name, path in MODULES.items()}
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError, which names them


def test_what_commands_share_imports_none_of_them() -> None:
    for name, path in MODULES.items():
        if name.split(".")[1:2] and name.split(".")[1] in SHARED:
            found = {other.split(".")[1] for other in imported_by(path) if "." in other}
            assert found <= SHARED | {"errors"}, f"{name} imports {sorted(found)}"
