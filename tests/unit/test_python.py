"""`import understudy`: what it offers, and that nothing is loaded before it is used."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import understudy
from tests.absent_packages import absent

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "onnxruntime", "pandas", "numpy", "pyarrow", "httpx", "transformers", "sklearn"}


def printed(code: str) -> str:
    """What a fresh Python prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sorted(set(sys.modules) & {HEAVY!r}))"
    return set(printed(code).split())


def test_the_import_loads_no_library() -> None:
    assert loaded_after("import understudy; dir(understudy)") == set()


def test_a_graph_loads_neither_torch_nor_onnxruntime() -> None:
    statement = (
        "import understudy\n"
        "understudy.Graph.from_arrays(['a', 'b'], [(0, 1)])\n"
        "understudy.Graph.from_pandas({'id': ['a'], 'text': ['a']}, {'source': [], 'target': []})"
    )
    assert loaded_after(statement) & {"torch", "onnxruntime"} == set()


def test_what_classifies_and_asks_loads_no_torch() -> None:
    statement = "from understudy import AddEdge, AsyncClient, Client, Engine, Node"
    assert "torch" not in loaded_after(statement)


def test_every_name_is_there_and_loaded_once() -> None:
    assert set(understudy.__all__) == set(understudy.NAMES) <= set(dir(understudy))
    for name in understudy.__all__:
        value = getattr(understudy, name)
        assert value.__doc__, name
        assert vars(understudy)[name] is value
    with pytest.raises(AttributeError, match="no attribute 'gpaph'"):
        _ = understudy.gpaph  # type: ignore[attr-defined]


def test_what_a_type_checker_sees_is_what_is_loaded() -> None:
    tree = ast.parse((ROOT / "understudy" / "__init__.py").read_text(encoding="utf-8"))
    conditions = [node for node in tree.body if isinstance(node, ast.If)]
    (block,) = (node for node in conditions if isinstance(node.test, ast.Name))
    seen = {
        alias.asname or alias.name: (statement.module, alias.name)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert seen == {name: where[:2] for name, where in understudy.NAMES.items()}


@pytest.mark.parametrize(
    ("missing", "name", "extra"),
    [
        ("torch", "distill", "training"),
        ("transformers", "teach", "training"),
        ("onnx", "export", "export"),
        ("onnxruntime", "Engine", "service"),
    ],
)
def test_a_missing_extra_is_named(missing: str, name: str, extra: str) -> None:
    with absent(missing), pytest.raises(ImportError) as raised:
        getattr(import_module("understudy"), name)
    assert str(raised.value) == (
        f"this needs the package {missing}, which is not installed: "
        f"pip install 'understudy-gnn[{extra}]'"
    )


def test_the_page_names_everything() -> None:
    page = (ROOT / "docs" / "guides" / "python.md").read_text(encoding="utf-8")
    missing = [n for n in understudy.__all__ if not re.search(rf"\b{n}\b", page)]
    assert missing == []
