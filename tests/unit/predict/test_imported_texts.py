"""A file's texts are made of the columns that those of the bundle's graph were made of."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bundles import TinyBundle
from tests.predicting import Ended, expected, says, table
from understudy.bundle import Manifest, open_bundle, write_bundle
from understudy.bundle.card import RECIPE_FILE, imported_texts
from understudy.engine import Node
from understudy.graph.reading import text_columns

ROWS = "id,Summary,Details\na,http socket,matrix proof\n"


@pytest.fixture
def imported(tmp_path: Path, tiny_bundle: TinyBundle) -> Path:
    """A bundle whose graph had its texts of two columns."""

    def fill(target: Path) -> Manifest:
        shutil.copytree(tiny_bundle.folder, target, dirs_exist_ok=True)
        (target / "manifest.json").unlink()
        recipe = {"graph": {"texts": ["Summary", "Details"]}}
        (target / RECIPE_FILE).write_text(json.dumps(recipe))
        return open_bundle(tiny_bundle.folder).manifest

    write_bundle(tmp_path / "bundle", fill)
    return tmp_path / "bundle"


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
    status, told = call(imported, tmp_path / "in.csv", tmp_path / "out.csv")
    assert status == 0
    assert says(told, "id=id, text=Summary+Details")
    assert not says(told, "of another kind")
    assert answered(tmp_path / "out.csv") == best(tiny_bundle, "http socket\nmatrix proof")
    call(tiny_bundle.folder, tmp_path / "in.csv", tmp_path / "guessed.csv")
    assert answered(tmp_path / "guessed.csv") == best(tiny_bundle, "http socket")


def test_other_columns_are_told_to_be_others(
    tmp_path: Path, tiny_bundle: TinyBundle, imported: Path, call: Callable[..., Ended]
) -> None:
    (tmp_path / "in.csv").write_text(ROWS)
    words = ("--text-field", "Details")
    status, told = call(imported, tmp_path / "in.csv", tmp_path / "named.csv", *words)
    assert status == 0
    assert says(told, "were made of Summary+Details, these are of Details")
    assert answered(tmp_path / "named.csv") == best(tiny_bundle, "matrix proof")
    (tmp_path / "in.csv").write_text("id,title\na,http socket\n")
    status, told = call(imported, tmp_path / "in.csv", tmp_path / "found.csv")
    assert says(told, "were made of Summary+Details, these are of title")
    (tmp_path / "in.csv").write_text("id,title\nnode-1,http socket\n")
    words = ("--text-field", "none")
    status, told = call(imported, tmp_path / "in.csv", tmp_path / "ids.csv", *words)
    assert status == 0
    assert not says(told, "were made of")


def test_a_bundle_of_before_says_nothing_of_columns(tiny_bundle: TinyBundle) -> None:
    assert imported_texts(tiny_bundle.folder) == ()


def test_columns_of_texts_are_those_of_all_files_that_have_some() -> None:
    def read(*files: tuple[list[str], bool]) -> tuple[str, ...]:
        return text_columns(
            {"files": [{"used": {"text": names}, "named": named} for names, named in files]}
        )

    assert read((["title", "body"], True), ([], True)) == ("title", "body")
    assert read((["title"], True), (["body"], True)) == ()
    assert read((["2"], False)) == ()
    assert text_columns({}) == ()
