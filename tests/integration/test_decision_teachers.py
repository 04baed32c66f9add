"""`understudy teach` with decision endpoints: a real server, and jevcompat's mock as a process."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.responses import JSONResponse

from tests.decision_server import decision_server, mock
from training.teacher.answers.folder import read_teacher
from understudy.cli import main
from understudy.graph import TextGraph, save_graph
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

NODES = 60


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def graph(tmp_path: Path) -> TextGraph:
    graph = synthetic_graph(SyntheticOptions(nodes=NODES, classes=3, seed=1))
    save_graph(graph, tmp_path / "graph")
    return graph


def run(tmp_path: Path, teacher: str, *words: str) -> int:
    """The command's exit status."""
    folders = str(tmp_path / "graph"), str(tmp_path / "t")
    with pytest.raises(SystemExit) as ended:
        main(["teach", *folders, "--teacher", teacher, *words])
    return int(ended.value.code or 0)


def teach(tmp_path: Path, teacher: str, *words: str) -> dict[str, Any]:
    assert run(tmp_path, teacher, *words) == 0
    found: dict[str, Any] = json.loads((tmp_path / "t" / "teacher.json").read_text())
    return found


def first_is_meant(text: str, labels: list[str]) -> dict[str, float]:
    return dict(zip(sorted(labels), (0.7, 0.2, 0.1), strict=True))


@pytest.mark.parametrize("wire", ["decisions", "systemone"])
def test_what_a_decision_endpoint_says_is_what_is_learnt_from(
    tmp_path: Path, graph: TextGraph, wire: str
) -> None:
    label = sorted(graph.label_names)[0]
    (tmp_path / "labels.json").write_text(json.dumps({label: "the first of all"}))
    options = ("--label-descriptions", str(tmp_path / "labels.json"), "--hops", "1")
    with decision_server(first_is_meant) as server:
        info = teach(tmp_path, f"{wire}:{server.url}#m", *options, "--input-price", "5")
        requests = list(server.requests)
        again = teach(tmp_path, f"{wire}:{server.url}#m", *options, "--hops", "0,1")
    _, answers = read_teacher(tmp_path / "t", graph)
    expected = [(0.7, 0.2, 0.1)[sorted(graph.label_names).index(n)] for n in graph.label_names]
    np.testing.assert_allclose(np.exp(answers.log_probabilities[1, 5]), expected, rtol=1e-4)
    assert "the first of all" in json.dumps(requests[0])
    assert info["metrics"]["cost"] == pytest.approx(len(requests) * 100 * 5 / 1e6)
    # One more hop is one more question a node at most; what was asked is kept.
    assert again["metrics"]["questions"] <= NODES


def test_a_budget_of_questions_goes_to_validation_too(
    tmp_path: Path, graph: TextGraph, caplog: pytest.LogCaptureFixture
) -> None:
    with decision_server(first_is_meant) as server:
        teacher = f"decisions:{server.url}#m"
        teach(tmp_path, teacher, "--budget", "10", "--hops", "1")
        assert len(server.requests) == 10
        teach(tmp_path, teacher, "--budget", "15", "--hops", "1")
        assert len(server.requests) == 15  # five more, since ten are kept
    _, answers = read_teacher(tmp_path / "t", graph)
    validation = np.isin(answers.nodes, graph.splits["val"]).sum()
    assert validation == 3
    assert "asking about 15 of 60 nodes (uncertain), among them 3 validation nodes" in caplog.text


def test_a_budget_counts_questions_that_take_two_requests(tmp_path: Path) -> None:
    options = SyntheticOptions(nodes=780, classes=260, mean_degree=2)
    many = synthetic_graph(options)
    save_graph(many, tmp_path / "graph")
    with decision_server(lambda _, labels: dict.fromkeys(labels, 1 / len(labels))) as server:
        info = teach(tmp_path, f"decisions:{server.url}#m", "--budget", "6", "--hops", "0")
        assert len(server.requests) == 2 * 6
    assert info["metrics"]["questions"] == 6
    _, answers = read_teacher(tmp_path / "t", many)
    assert len(answers.nodes) == 6


def test_money_ends_a_run_whose_questions_cost_more_than_they_seemed(
    tmp_path: Path, graph: TextGraph, caplog: pytest.LogCaptureFixture
) -> None:
    """The server bills 100 tokens a question, far more than these short texts seem to have."""
    money = ("--budget-money", "10", "--input-price", "10000", "--concurrency", "1")
    short = ("--tokens", "8", "--hops", "0", "--no-show-labels")
    with decision_server(first_is_meant) as server:
        info = teach(tmp_path, f"systemone:{server.url}#m", *money, *short)
    assert len(server.requests) == 10
    assert info["metrics"]["cost"] == pytest.approx(10)
    assert "--budget-money is spent: 10 of " in caplog.text
    _, answers = read_teacher(tmp_path / "t", graph)
    assert len(answers.nodes) == 10
    assert np.isin(answers.nodes, graph.splits["val"]).sum() == 2  # asked in order of worth
    assert (np.diff(answers.nodes) > 0).all()


def test_the_reference_server_teaches(tmp_path: Path, graph: TextGraph) -> None:
    with mock() as url:
        info = teach(tmp_path, f"systemone:{url}#mock", "--budget", "12")
        assert info["metrics"]["requests"] == info["metrics"]["questions"] == 12
        assert info["metrics"]["unreadable"] == 0
        _, answers = read_teacher(tmp_path / "t", graph)
        np.testing.assert_allclose(np.exp(answers.log_probabilities).sum(-1), 1, atol=1e-5)
        assert answers.log_probabilities.std() > 0.1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--constraint", "choice"),
            "--constraint applies only to teachers of the kinds endpoint;",
        ),
        (("--max-choices", "9"), "9"),
        (("--budget-money", "1"), "--budget-money needs --input-price"),
    ],
)
def test_options_that_mean_nothing_to_it_are_refused(
    tmp_path: Path, graph: TextGraph, capsys: pytest.CaptureFixture[str], words: Any, message: str
) -> None:
    assert run(tmp_path, "decisions:http://127.0.0.1:9/v1#m", *words) != 0
    assert message in capsys.readouterr().err


def test_a_refusal_names_the_option_that_may_help(
    tmp_path: Path, graph: TextGraph, capsys: pytest.CaptureFixture[str]
) -> None:
    with decision_server(first_is_meant) as server:
        server.answer = JSONResponse({"detail": "too many options"}, status_code=422)
        assert run(tmp_path, f"systemone:{server.url}#m") == 1
    message = r"status 422: .* options; if it accepts fewer options per question, set --max-choices"
    assert re.search(message, capsys.readouterr().err)
