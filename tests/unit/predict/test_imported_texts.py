"""Texts of a file are joined from the same columns as those of the served graph."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.app import create_app
from service.settings import Settings
from tests import http_servers
from tests.bundles import TinyBundle, with_texts
from tests.predicting import Ended, expected, says, table
from understudy.bundle import open_bundle
from understudy.engine import Engine, Node
from understudy.graph.building.reading import neighbor_column, read_of, reading_of, text_columns

ROWS = "id,Summary,Details\na,http socket,matrix proof\n"


@pytest.fixture
def imported(tmp_path: Path, tiny_bundle: TinyBundle) -> Path:
    return with_texts(tiny_bundle.folder, tmp_path / "bundle", "Summary", "Details")


def best(tiny_bundle: TinyBundle, text: str) -> tuple[str, str]:
    ((label, score),) = expected(tiny_bundle, [Node(text=text)])[0]
    return label, str(score)


def answered(path: Path) -> tuple[str, str]:
    (row,) = table(path)
    return row["label"], row["score"]


def test_texts_are_read_of_the_columns_that_the_graph_was_imported_with(
    tmp_path: Path, tiny_bundle: TinyBundle, imported: Path, call: Callable[..., Ended]
) -> None:
    (tmp_path / "in.csv").write_text(ROWS)
    status, output = call(imported, tmp_path / "in.csv", tmp_path / "out.csv")
    assert status == 0
    assert says(output, "id=id, text=Summary+Details")
    assert not says(output, "of another kind")
    assert answered(tmp_path / "out.csv") == best(tiny_bundle, "http socket\nmatrix proof")
    call(tiny_bundle.folder, tmp_path / "in.csv", tmp_path / "guessed.csv")
    assert answered(tmp_path / "guessed.csv") == best(tiny_bundle, "http socket")


def test_other_columns_are_told_to_be_others(
    tmp_path: Path, tiny_bundle: TinyBundle, imported: Path, call: Callable[..., Ended]
) -> None:
    (tmp_path / "in.csv").write_text(ROWS)
    words = ("--text-field", "Details")
    status, output = call(imported, tmp_path / "in.csv", tmp_path / "named.csv", *words)
    assert status == 0
    assert says(output, "come from Summary+Details, but these come from Details")
    assert answered(tmp_path / "named.csv") == best(tiny_bundle, "matrix proof")
    (tmp_path / "in.csv").write_text("id,summary\na,http socket\n")
    status, output = call(imported, tmp_path / "in.csv", tmp_path / "found.csv")
    assert says(output, "come from Summary+Details, but these come from summary")
    (tmp_path / "in.csv").write_text("id,title\na,http socket\n")
    status, output = call(imported, tmp_path / "in.csv", tmp_path / "otherwise_called.csv")
    assert not says(output, "come from")
    (tmp_path / "in.csv").write_text("id,title\nnode-1,http socket\n")
    words = ("--text-field", "none")
    status, output = call(imported, tmp_path / "in.csv", tmp_path / "ids.csv", *words)
    assert status == 0
    assert not says(output, "come from")


def test_a_service_is_asked_which_they_are(
    tmp_path: Path, tiny_bundle: TinyBundle, imported: Path, call: Callable[..., Ended]
) -> None:
    (tmp_path / "in.csv").write_text(ROWS)
    url, stop = http_servers.serve(create_app(Engine.open(imported), Settings()))
    try:
        status, output = call(url, tmp_path / "in.csv", tmp_path / "out.csv")
    finally:
        stop()
    assert status == 0
    assert says(output, "id=id, text=Summary+Details")
    assert answered(tmp_path / "out.csv") == best(tiny_bundle, "http socket\nmatrix proof")


def test_neighbours_are_read_of_the_column_that_the_graph_was_imported_with(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    """Also where another one has a usual name; a table that lacks it is read as ever."""
    bundle = with_texts(tiny_bundle.folder, tmp_path / "bundle", "text", neighbors="Related")
    ((label, score),) = expected(tiny_bundle, [Node(text="http socket", neighbors=("node-1",))])[0]
    (tmp_path / "in.csv").write_text("text,references,related\nhttp socket,node-2,node-1\n")
    status, output = call(bundle, tmp_path / "in.csv", tmp_path / "out.csv")
    assert status == 0
    assert says(output, "text=text, neighbors=related; not read: references")
    assert answered(tmp_path / "out.csv") == (label, str(score))
    url, stop = http_servers.serve(create_app(Engine.open(bundle), Settings()))
    try:
        call(url, tmp_path / "in.csv", tmp_path / "served.csv")
    finally:
        stop()
    assert answered(tmp_path / "served.csv") == (label, str(score))
    words = ("--neighbors-field", "references")
    status, output = call(bundle, tmp_path / "in.csv", tmp_path / "named.csv", *words)
    assert says(output, "neighbors=references")
    (tmp_path / "in.csv").write_text("text,references\nhttp socket,node-2\n")
    status, output = call(bundle, tmp_path / "in.csv", tmp_path / "found.csv")
    assert says(output, "neighbors=references")


def test_of_before_nothing_is_known(tiny_bundle: TinyBundle) -> None:
    assert open_bundle(tiny_bundle.folder).manifest.graph.texts == ()
    assert reading_of(()) == {}
    infos: list[dict[str, Any]] = [{}, {"graph": {}}, {"graph": {"texts": None}}]
    assert [read_of(info) for info in infos] == [((), "")] * 3


def test_columns_of_texts_are_those_of_all_files_that_have_some() -> None:
    def read(*files: tuple[list[str], bool]) -> tuple[str, ...]:
        return text_columns(
            {"files": [{"used": {"text": names}, "named": named} for names, named in files]}
        )

    assert read((["title", "body"], True), ([], True)) == ("title", "body")
    assert read((["title"], True), (["body"], True)) == ()
    assert read((["2"], False)) == ()
    assert text_columns({}) == ()
    assert text_columns(reading_of(("title", "body"))) == ("title", "body")
    assert neighbor_column(reading_of(("title", "body"))) == ""
    assert neighbor_column(reading_of((), "related")) == "related"
