"""Every file and every name that docs/concepts/architecture.md mentions is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "concepts" / "architecture.md").read_text(encoding="utf-8")
ROOMS = ("understudy/", "training/", "export/", "service/", "benchmarks/", "documents/", "docs/")
MENTIONS = {word for word in re.findall(r"`([^`\n]+)`", PAGE) if word.startswith(ROOMS)}


def test_what_the_page_mentions_is_there() -> None:
    assert len(MENTIONS) > 40
    missing = []
    for mention in sorted(MENTIONS):
        path, _, name = mention.partition(":")
        file = ROOT / path
        if not file.exists() or (name and name not in names_of(file)):
            missing.append(mention)
    assert missing == []


def names_of(file: Path) -> set[str]:
    """What a module defines at its top."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, kinds)}
