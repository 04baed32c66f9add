"""The estimates of `understudy plan`, compared with what the stages take."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.line_at_scale.stages import Spent, spent
from understudy.cli import build_app

CHOICES = ("--encoder", "hashing", "--layers", "2", "--hidden", "32")
EPOCHS = ("--epochs", "2")
NODES = ("--nodes", "6000", "--mean-degree", "8", "--labeled", "0.2")


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan") / "graph"
    result = CliRunner().invoke(build_app("data"), ["data", "synthetic", str(folder), *NODES])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def taken(graph: Path) -> dict[str, Spent]:
    """Both stages as a user runs them."""
    student, bundle = graph.parent / "student", graph.parent / "bundle"
    batches = ("--batch-size", "1024", "--fanout", "5")
    return {
        "distill sage": spent(student, "distill", graph, student, *CHOICES, *EPOCHS, *batches),
        "export sage": spent(bundle, "export", student, bundle),
    }


def test_the_stages_take_what_was_planned(graph: Path, taken: dict[str, Spent]) -> None:
    """Memory and disk within a factor of two; time, on a machine that others use, of five."""
    words = [str(graph), *CHOICES, *EPOCHS, "--batches", "--fanout", "5", "--json"]
    result = CliRunner().invoke(build_app("plan"), ["plan", *words])
    assert result.exit_code == 0, result.output
    planned = {stage["name"]: stage for stage in json.loads(result.stdout)}
    for name, spent_on in taken.items():
        of = planned[name]
        assert of["memory"] == pytest.approx(spent_on.peak_bytes, rel=0.5), name
        assert of["disk"] == pytest.approx(spent_on.disk_bytes, rel=0.5), name
        assert spent_on.processor_seconds / 5 < of["seconds"] < 5 * spent_on.processor_seconds, name


def test_a_graph_that_cannot_be_trained_on_is_told(tmp_path: Path) -> None:
    """It is planned for all the same: its labels may come later."""
    nodes = tmp_path / "nodes.csv"
    nodes.write_text("id,text\n1,a pump\n2,a valve\n3,a pipe\n")
    words = ["data", "import", str(tmp_path / "graph"), "--nodes", str(nodes)]
    assert CliRunner().invoke(build_app("data"), words).exit_code == 0
    result = CliRunner().invoke(build_app("plan"), ["plan", str(tmp_path / "graph"), "--json"])
    assert result.exit_code == 0, result.output
    assert "teach and distill would refuse this graph: graph has no labels" in result.stderr
    assert json.loads(result.stdout)
