from pathlib import Path

import pytest

from graph import SourceError, TextGraph, save_graph
from graph.output import check_output


def test_new_empty_and_our_own_folders_may_be_written(
    tmp_path: Path, small_graph: TextGraph
) -> None:
    check_output(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    check_output(tmp_path / "empty")
    save_graph(small_graph, tmp_path / "graph")
    check_output(tmp_path / "graph")


def test_a_foreign_folder_needs_force(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"x")
    with pytest.raises(SourceError, match="--force"):
        check_output(tmp_path / "holiday")
    check_output(tmp_path / "holiday", force=True)


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceError, match="is a file"):
        check_output(tmp_path / "file", force=True)


def test_the_current_folder_and_those_above_are_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    for path in (Path(), Path(".."), Path("/"), Path.home()):
        with pytest.raises(SourceError, match="current folder or your home"):
            check_output(path, force=True)
