"""docs/guides/python.md: its blocks run, one after the other, as a reader would run them."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import serving

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "python.md").read_text(encoding="utf-8")


def test_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    *blocks, asking = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert names["metrics"]["test_accuracy"] > 0.9
    assert names["stored"].label == "kitchen"
    assert names["unseen"].label == "garden"
    with serving(tmp_path / "bundle") as running:
        exec(asking, names | {"url": running.url})
    assert capsys.readouterr().out.splitlines()[-1] == "['kitchen', 'workshop']"
    (kept,) = (tmp_path / "cache" / "graphs").iterdir()
    assert kept.name.startswith("notes-")
