"""`understudy data …` as a user runs it: a separate process, real files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.graph import load_graph


def understudy(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "understudy", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, cwd=cwd, check=False
    )


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A node and an edge file with things to repair."""
    nodes, edges = tmp_path / "nodes.jsonl", tmp_path / "edges.csv"
    rows = [{"id": i, "text": f"text of {i}", "label": "xy"[i % 2]} for i in range(20)]
    nodes.write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0]]))
    pairs = [*((i, i + 1) for i in range(19)), (3, 3), (0, 1)]
    edges.write_text("source,target\n" + "".join(f"{a},{b}\n" for a, b in pairs))
    return nodes, edges


def test_synthetic_then_describe(tmp_path: Path) -> None:
    made = understudy("data", "synthetic", tmp_path / "graph", "--nodes", 200, "--classes", 4)
    assert made.returncode == 0, made.stderr
    assert "200 nodes, 800 edges, 4 classes" in made.stdout
    table = understudy("data", "describe", tmp_path / "graph")
    assert table.returncode == 0, table.stderr
    assert "edge homophily" in table.stdout
    assert "astronomy" in table.stdout
    figures = understudy("data", "describe", tmp_path / "graph", "--json")
    assert json.loads(figures.stdout)["nodes"] == 200
    assert not figures.stderr


def test_import_prints_what_was_repaired(tmp_path: Path, files: tuple[Path, Path]) -> None:
    nodes, edges = files
    done = understudy("data", "import", tmp_path / "graph", "--nodes", nodes, "--edges", edges)
    assert done.returncode == 0, done.stderr
    assert "20 nodes, 19 edges, 2 classes" in done.stdout
    assert "random split: train 12, val 4, test 4" in done.stdout
    assert f"self-loops dropped: 1 (first: {edges}:21)" in done.stdout
    assert f"repeats of an edge left out: 1 (first: {edges}:22)" in done.stdout
    assert f"(first: {nodes}:21)" in done.stdout
    graph = load_graph(tmp_path / "graph")
    assert graph.name == "graph"
    assert dict(graph.notes) == {"repeated_nodes": 1, "self_loops": 1, "duplicate_edges": 1}


def test_an_error_is_one_line_without_a_traceback(tmp_path: Path, files: tuple[Path, Path]) -> None:
    nodes, edges = files
    edges.write_text("source,target\n0,1\n0,nobody\n")
    failed = understudy("data", "import", tmp_path / "graph", "--nodes", nodes, "--edges", edges)
    assert failed.returncode == 1
    assert f"error: {edges}:3: the edge's target 'nobody' is no node's id" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (tmp_path / "graph").exists()


def test_a_foreign_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep me")
    for flags in ((), ("--force",)):
        refused = understudy("data", "synthetic", tmp_path / "mine", "--nodes", 50, *flags)
        assert refused.returncode == 1
        assert "letter.txt" in refused.stderr
        assert (tmp_path / "mine" / "letter.txt").read_text() == "keep me"
    (tmp_path / "mine" / "letter.txt").unlink()
    made = understudy("data", "synthetic", tmp_path / "mine", "--nodes", 50)
    assert made.returncode == 0, made.stderr
    again = understudy("data", "synthetic", tmp_path / "mine", "--nodes", 60)
    assert again.returncode == 0, again.stderr
    assert load_graph(tmp_path / "mine").num_nodes == 60


def test_describing_what_is_no_graph(tmp_path: Path) -> None:
    failed = understudy("data", "describe", tmp_path)
    assert failed.returncode == 1
    assert "not a graph folder" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_graph_loads_no_torch() -> None:
    code = (
        "import sys, understudy.graph.commands, understudy.graph.readers.pyg\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
