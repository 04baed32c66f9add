"""Helpers that read the output of `understudy predict`."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bundles import TinyBundle
from understudy.engine import Engine, Node

Ended = tuple[int, str]  # exit status, what stderr says


def says(printed: str, words: str) -> bool:
    """Whether stderr says so, however a terminal's width has cut the lines."""
    return "".join(words.split()) in "".join(printed.split())


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def expected(bundle: TinyBundle, nodes: Sequence[Node], top: int = 1) -> list[Any]:
    """Labels and scores, as the engine tells them."""
    with Engine.open(bundle.folder) as engine:
        return [
            [(entry.label, entry.score) for entry in found.top]
            for found in engine.classify(nodes, top)
        ]
