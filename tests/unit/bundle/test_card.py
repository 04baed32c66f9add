"""A bundle's model card: what `understudy bundle show` prints."""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.bundles import LABELS, TinyBundle, with_texts
from understudy.bundle import Manifest, open_bundle, write_bundle
from understudy.bundle.card import CARD_FILE, RECIPE_FILE, label_words, write_card
from understudy.cli import main

RECIPE: dict[str, Any] = {
    "graph": {"labeled": 40, "splits": {"train": 20, "test": 20}},
    "student": {"dropout": 0.5, "hidden": 1},
    "terms": {"cross_entropy": 1.0, "kd": 0.5},
    "training": {"epochs": 200},
    "objectives": {"temperature": 1.0},
    "teacher": {"kind": "causal", "model": "a | model", "view": "hop 2"},
}


@pytest.fixture
def carded(tmp_path: Path, tiny_bundle: TinyBundle) -> Path:
    """A bundle with a recipe and a card."""
    metrics = {"train_accuracy": 0.75, "test_accuracy": 0.5, "test_macro_f1": 0.25, "epochs": 7.0}

    def fill(target: Path) -> Manifest:
        shutil.copytree(tiny_bundle.folder, target, dirs_exist_ok=True)
        (target / "manifest.json").unlink()
        manifest = open_bundle(tiny_bundle.folder).manifest
        manifest = msgspec.structs.replace(manifest, metrics=metrics)
        write_card(target, manifest, RECIPE)
        return manifest

    write_bundle(tmp_path / "bundle", fill)
    return tmp_path / "bundle"


def shown(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["bundle", "show", *map(str, words)])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_the_page_tells_graph_recipe_accuracy_and_files(
    carded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = shown(capsys, carded)
    assert status == 0
    manifest = open_bundle(carded).manifest
    for line in (
        "# tiny-hashing",
        f"| version | {manifest.version} |",
        f"| content_hash | {manifest.graph.content_hash} |",
        "| splits.train | 20 |",
        ", ".join(LABELS),
        "| hidden | 8 |",  # as served, not as the recipe says
        "| model | a \\| model |",
        "| terms.kd | 0.5 |",
        "| | train | test |",
        "| accuracy | 0.75 | 0.5 |",
        "| macro_f1 |  | 0.25 |",
        "| epochs | 7 |",
        "| temperature | 2 |",
    ):
        assert line in out.splitlines(), line
    for name, entry in manifest.files.items():
        assert f"| {name} | {entry.bytes:,} | {entry.sha256} |" in out


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("Theory and proofs", "Theory and proofs"),
        ("r\u00e9seaux_2", "r\u00e9seaux_2"),
        ("a, b", "`a, b`"),
        ("</s>", "`</s>`"),
        ("_draft_", "`_draft_`"),
        ("- 1", "`- 1`"),
        ("a `b`", "`` a `b` ``"),
        ("```", "```` ``` ````"),
    ],
)
def test_a_label_that_markdown_would_read_stands_as_code(label: str, words: str) -> None:
    assert label_words(label) == words


def test_the_card_in_the_bundle_is_the_same_at_every_export(
    carded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bundle's version is a digest of its files: the day of an export must not change it."""
    card = (carded / CARD_FILE).read_text()
    assert "| accuracy | 0.75 | 0.5 |" in card
    manifest = open_bundle(carded).manifest
    assert {CARD_FILE, RECIPE_FILE} <= manifest.files.keys()
    later = msgspec.structs.replace(manifest, created="2030-01-01T00:00:00Z", files={})
    write_card(tmp_path, later, RECIPE)
    assert (tmp_path / CARD_FILE).read_text() == card


def test_columns_of_texts_are_told_where_they_are_known(
    tmp_path: Path, tiny_bundle: TinyBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "| texts |" not in shown(capsys, tiny_bundle.folder)[1]
    bundle = with_texts(tiny_bundle.folder, tmp_path / "bundle", "Summary", "Details")
    assert "| texts | Summary, Details |" in shown(capsys, bundle)[1].splitlines()
    assert "| neighbors |" not in shown(capsys, bundle)[1]
    bundle = with_texts(tiny_bundle.folder, tmp_path / "linked", "Summary", neighbors="Related")
    assert "| neighbors | Related |" in shown(capsys, bundle)[1].splitlines()


def test_json_holds_the_same(carded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(shown(capsys, carded, "--json", "--verify")[1])
    assert facts["metrics"]["test"] == {"accuracy": 0.5, "macro_f1": 0.25}
    assert facts["teacher"]["kind"] == "causal"
    assert facts["graph"]["nodes"] == 40
    assert facts["recipe"]["terms"] == RECIPE["terms"]
    assert facts["bytes"] == sum(entry["bytes"] for entry in facts["files"].values())


def test_an_older_bundle_says_what_it_does_not_know(
    tiny_bundle: TinyBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = shown(capsys, tiny_bundle.folder)
    assert status == 0
    assert out.count("Not recorded: the bundle was made by an older release.") == 2


def test_damage_is_told_in_a_line(
    carded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, output = shown(capsys, tmp_path / "none")
    assert (status, output.startswith("error: ")) == (1, True)
    recipe = carded / RECIPE_FILE
    recipe.write_bytes(b"x" * recipe.stat().st_size)
    status, _, output = shown(capsys, carded)
    assert (status, "recipe.json cannot be read" in output) == (1, True)
    status, _, output = shown(capsys, carded, "--verify")
    assert (status, "was changed" in output) == (1, True)
