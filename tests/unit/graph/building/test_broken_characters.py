"""Remarks on characters that were lost or garbled before the import."""

from pathlib import Path

import pytest

from understudy.graph.building.builder import Rules
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.files import import_graph

LOST = "\ufffd"


def remarks(folder: Path, nodes: str) -> list[str]:
    (folder / "n.csv").write_text(nodes, encoding="utf-8")
    built = import_graph([folder / "n.csv"], [], NodeFields(), EdgeFields(), Rules())
    return [words for words in built.remarks if "lost or garbled" in words]


def garbled(text: str) -> str:
    """UTF-8 that was read as Windows-1252."""
    return text.encode("utf-8").decode("cp1252")


@pytest.mark.parametrize(
    "text", [f"caf{LOST} au lait", garbled("café"), garbled("a\u20ac"), garbled("a\u2019s")]
)
def test_damaged_texts_are_told_with_their_place(tmp_path: Path, text: str) -> None:
    (remark,) = remarks(tmp_path, f"id,text\n1,oak\n2,{text}\n3,{text}\n")
    assert remark.startswith(f"2 texts ({text!r} at {tmp_path / 'n.csv'}:3) with characters")


def test_damaged_ids_and_classes_are_told(tmp_path: Path) -> None:
    (remark,) = remarks(tmp_path, f"id,text,label\na{LOST},oak,x\nb,elm,{garbled('ü')}\n")
    assert "1 id (" in remark
    assert "1 class (" in remark
    assert "text" not in remark.partition(" with ")[0]


@pytest.mark.parametrize("text", ["café", "Ângela", "SÃO PAULO", "MAÇÃ", "10 €", "Â « no", "naïve"])
def test_accents_are_no_damage(tmp_path: Path, text: str) -> None:
    assert remarks(tmp_path, f"id,text\n1,{text}\n") == []
