"""Which room may import which, and that serving never loads torch."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# `bundle` also runs the exported networks, since export's parity gate and service must run the
# same code; it is fed arrays, and knows nothing of a graph.
MAY_IMPORT: dict[str, set[str]] = {
    "understudy.command_line": set(),
    "understudy.folders": set(),
    "understudy.graph": {"understudy.command_line", "understudy.folders"},
    "understudy.bundle": {"understudy.command_line", "understudy.folders"},
    "understudy.engine": {
        "understudy.command_line",
        "understudy.folders",
        "understudy.graph",
        "understudy.bundle",
    },
    "understudy.cluster": {"understudy.graph"},
    "understudy.predict": {
        "understudy.command_line",
        "understudy.cluster",
        "understudy.folders",
        "understudy.graph",
        "understudy.bundle",
        "understudy.engine",
        "understudy.client",
    },
    "understudy.retraining": {
        "understudy.command_line",
        "understudy.folders",
        "understudy.graph",
        "understudy.bundle",
        "understudy.engine",
        "understudy.client",
    },
    "understudy.client": set(),
    "understudy.endpoint": {"understudy.graph"},
    "training": {
        "understudy.command_line",
        "understudy.cluster",
        "understudy.folders",
        "understudy.graph",
        "understudy.endpoint",
    },
    "export": {
        "training",
        "understudy.command_line",
        "understudy.cluster",
        "understudy.folders",
        "understudy.graph",
        "understudy.bundle",
    },
    "service": {
        "understudy.folders",
        "understudy.graph",
        "understudy.bundle",
        "understudy.engine",
        "understudy.endpoint",
    },
}
# Within `understudy.graph`: its modules are what these packages stand on, but for those above them.
IN_GRAPH: dict[str, set[str]] = {
    "building": set(),
    "layers": set(),
    "log": set(),
    "mutable": {"layers"},
    "readers": {"building"},
}
ABOVE_GRAPHS_PACKAGES = {"commands", "command_options", "tables", "constructors"}
TORCH = {"torch", "torch_geometric"}
TRAINING_LIBRARIES = TORCH | {"transformers", "peft", "safetensors", "onnx", "sklearn"}
FOR_EVALUATIONS = {"optuna", "matplotlib", "statsmodels", "sklearn"}  # and slow to import
LOADED_WITH_A_TEACHER = {"openai"}  # which takes most of a second
SERVED = {"understudy", "service"}
# Above every room; the first leads to all of them, each when it is first used.
TOP_MODULES = {"understudy", "understudy.cli", "understudy.demo"}


def modules_of(room: str) -> list[Path]:
    return sorted(ROOT.joinpath(*room.split(".")).rglob("*.py"))


def imported_by(path: Path) -> Iterator[str]:
    """The modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where a name lives"
            yield str(node.module)


def room_of(module: str) -> str:
    """The room of a module: the top-level package, and within `understudy` the one below."""
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] == "understudy" else 1])


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_the_rooms_it_may(room: str) -> None:
    modules = modules_of(room)
    assert modules
    for path in modules:
        others = {room_of(module) for module in imported_by(path)} - {room}
        others &= MAY_IMPORT.keys() | TOP_MODULES
        assert others <= MAY_IMPORT[room], f"{path.relative_to(ROOT)} imports {sorted(others)}"


def test_within_graph_imports_go_one_way() -> None:
    for path in modules_of("understudy.graph"):
        below = path.relative_to(ROOT / "understudy" / "graph").parts[:-1]
        if not below and path.stem in ABOVE_GRAPHS_PACKAGES:
            continue
        found = {module.removeprefix("understudy.graph.") for module in imported_by(path)}
        packages = {module.partition(".")[0] for module in found} & IN_GRAPH.keys()
        allowed = {below[0]} | IN_GRAPH[below[0]] if below else set()
        assert packages <= allowed, f"{path.relative_to(ROOT)} imports {sorted(packages)}"


@pytest.mark.parametrize("room", ["training", "export"])
def test_the_packages_of_a_room_form_no_cycle(room: str) -> None:
    """Of a room's packages and the modules beside them; also counts imports within functions."""
    wanted: dict[str, set[str]] = {}
    for path in modules_of(room):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found = {".".join(m.split(".")[:2]) for m in imported_by(path) if m.startswith(f"{room}.")}
        wanted.setdefault(".".join(parts[:2]), set()).update(found)
    graph = {package: found - {package} for package, found in wanted.items()}
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError, which names them


@pytest.mark.parametrize("room", sorted(SERVED))
def test_what_is_served_names_no_training_library(room: str) -> None:
    for path in modules_of(room):
        found = {module.partition(".")[0] for module in imported_by(path)} & TRAINING_LIBRARIES
        # A reader of torch files lives in graph and imports torch when it is called.
        assert not found or (found <= TORCH and "graph" in path.parts), (
            f"{path.relative_to(ROOT)} imports {sorted(found)}"
        )


def test_what_trains_loads_nothing_slow_that_evaluations_alone_use() -> None:
    for path in (*modules_of("training"), *modules_of("export")):
        found = {module.partition(".")[0] for module in imported_by(path)} & FOR_EVALUATIONS
        assert not found or "evaluation" in path.parts, (
            f"{path.relative_to(ROOT)} imports {sorted(found)}"
        )


def test_importing_service_loads_no_library_that_it_may_not_need() -> None:
    code = (
        "import sys, understudy.cli, service, service.app, service.commands, service.parts\n"
        f"print(sorted(set(sys.modules) & {TRAINING_LIBRARIES | LOADED_WITH_A_TEACHER!r}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.strip() == "[]"
