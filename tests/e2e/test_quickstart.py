"""examples/quickstart.ipynb: its cells run, one after the other, as a notebook runs them."""

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOK = json.loads((ROOT / "examples/quickstart.ipynb").read_text(encoding="utf-8"))


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in NOTEBOOK["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert names["metrics"]["test_accuracy"] > 0.9
    assert names["answered"]["right"].mean() > 0.9
    assert names["unseen"].label == "garden"
    answers = names["pd"].read_csv("answers.csv")
    assert list(answers["id"]) == list(names["notes"]["key"][~names["filed"]])
    assert list(answers["label"]) == list(names["answered"]["place"])


def test_it_is_kept_without_what_a_run_leaves() -> None:
    """So that a change of it can be read; and it has what notebooks of its format need."""
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    for cell in NOTEBOOK["cells"]:
        assert cell.keys() >= {"cell_type", "id", "metadata", "source"}
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    identifiers = [cell["id"] for cell in NOTEBOOK["cells"]]
    assert len(set(identifiers)) == len(identifiers)
