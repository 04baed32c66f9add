"""Small folders that look like the outputs of commands."""

import json
from pathlib import Path
from typing import Any


def write_folder(folder: Path, marker: str, value: dict[str, Any], *others: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / marker).write_text(json.dumps(value))
    for name in others:
        (folder / name).write_text(name)
    return folder


def write_graph(folder: Path) -> Path:
    meta = {"format_version": 1, "content_hash": "x", "label_names": ["a"]}
    return write_folder(folder, "meta.json", meta, "nodes.parquet", "edges.parquet")


def write_student(folder: Path) -> Path:
    config = {"format_version": 2, "graph_hash": "x", "graph_path": "g"} | {
        "student": {},
        "encoder": {},
    }
    return write_folder(folder, "config.json", config, "student.safetensors", "curves.json")


def write_evaluation(folder: Path) -> Path:
    plan = {"graph_hash": "x", "split_kind": "60/20/20", "teacher": {}, "trials": 0}
    return write_folder(folder, "plan.json", plan, "report.md")
