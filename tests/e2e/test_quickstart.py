"""examples/quickstart.ipynb: its cells run in a real kernel, whose event loop runs beside them."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
PATH = ROOT / "examples/quickstart.ipynb"
NOTEBOOK = json.loads(PATH.read_text(encoding="utf-8"))
CHECKS = """
assert metrics["test_accuracy"] > 0.9
assert answered["right"].mean() > 0.9
assert unseen.label == "garden"
answers = pd.read_csv("answers.csv")
assert list(answers["id"]) == list(notes["key"][~filed])
assert list(answers["label"]) == list(answered["place"])
"""


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(PATH, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(CHECKS))
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()


def test_it_is_kept_without_what_a_run_leaves() -> None:
    """So that a change of it can be read; and it has what notebooks of its format need."""
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    for cell in NOTEBOOK["cells"]:
        assert cell.keys() >= {"cell_type", "id", "metadata", "source"}
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    identifiers = [cell["id"] for cell in NOTEBOOK["cells"]]
    assert len(set(identifiers)) == len(identifiers)
