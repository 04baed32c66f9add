"""Options that a teacher does not read are refused before any work is done."""

from pathlib import Path

import pytest

from understudy.cli import main
from understudy.graph import save_graph
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

ENDPOINT = "openai:http://localhost:9/v1#model"


@pytest.mark.parametrize(
    ("command", "teacher", "words", "kind"),
    [
        ("teach", "./llama", ("--bf16",), "causal"),
        ("teach", "./llama", ("--frozen",), "causal"),
        ("teach", "encoder", ("--four-bit",), "encoder"),
        ("teach", "encoder", ("--rank", "8"), "encoder"),
        ("teach", "encoder", ("--label-descriptions", "labels.csv"), "encoder"),
        ("teach", "encoder", ("--frozen", "--epochs", "5"), "frozen encoder"),
        ("teach", "encoder", ("--frozen", "--max-train-nodes", "9"), "frozen encoder"),
        ("teach", ENDPOINT, ("--learning-rate", "0.1"), "endpoint"),
        ("teach", "student:runs/student", ("--seed", "5"), "student"),
        ("evaluate", "./llama", ("--tuned-layers", "2"), "causal"),
        ("evaluate", "encoder", ("--frozen", "--teacher-epochs", "5"), "frozen encoder"),
    ],
)
def test_an_option_that_the_teacher_does_not_read_is_refused(
    command: str,
    teacher: str,
    words: tuple[str, ...],
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "nowhere", "out", "--teacher", teacher, *words])
    option = next(word for word in reversed(words) if word.startswith("--"))
    error = capsys.readouterr().err
    assert stopped.value.code == 1
    assert error.startswith(f"error: {option} applies only to teachers of the kinds ")
    assert f"'{kind}'" in error


@pytest.mark.parametrize("option", ["--budget-choice", "--budget-hard"])
def test_an_order_of_nodes_without_a_limit_is_refused(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["teach", "nowhere", "out", option, "random"])
    assert f"error: {option} needs a limit: --budget, " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "unread"),
    [
        (["--budget", "9"], "--budget"),
        (["--teacher-width", "8"], "--teacher-width"),
        (["--teacher", ENDPOINT, "--teacher-width", "8"], "--teacher-width"),
        (["--teacher", "student:runs/student", "--budget", "9"], "--budget"),
        (["--teacher", "encoder", "--input-price", "1"], "--input-price"),
        (["--teacher", ENDPOINT, "--teacher-parameters", "8e9"], "--teacher-parameters"),
    ],
)
def test_a_plan_refuses_what_no_such_teacher_takes(
    words: list[str], unread: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["plan", "nowhere", *words])
    assert stopped.value.code == 1
    assert f"error: {unread}: needs a" in capsys.readouterr().err


def test_a_report_alone_refuses_what_only_runs_read(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "nowhere", "out", "--report-only", "--splits", "3", "--teacher", "gemma"])
    error = capsys.readouterr().err
    assert error == "error: --report-only runs nothing, so leave --splits, --teacher out\n"


def test_options_of_a_teacher_that_no_recipe_asks_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_graph(synthetic_graph(SyntheticOptions(nodes=60, classes=3)), tmp_path / "g")
    few = ["--splits=1", "--seeds=1", "--students=sage", "--encoders=hashing", "--epochs=1"]
    words = ["--recipes", "vanilla", "--teacher", "gemma", "--rank", "8", *few]
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(tmp_path / "g"), str(tmp_path / "out"), *words])
    assert ended.value.code == 0
    output = capsys.readouterr().err
    note = "--teacher, --rank: no effect in this run, since none of its recipes asks a teacher"
    assert note in output


def test_options_that_the_teacher_reads_are_not_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["teach", "nowhere", "out", "--frozen", "--bf16", "--max-nodes", "9"])
    assert "nowhere" in capsys.readouterr().err
