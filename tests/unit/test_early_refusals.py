"""Refusals before torch is loaded, which takes seconds."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.absent_packages import command_without
from training.cli.evaluate import IN_PLAN, EvaluationFlags, teacher_settings
from training.cli.teacher_options import TeacherFlags
from training.evaluation.evaluate import check_plan
from training.evaluation.plan import EvaluationOptions
from training.evaluation.stored import named_settings
from training.teacher.choices import TeacherChoices
from understudy.cli import main
from understudy.graph import save_graph
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph


def told_without_torch(capsys: pytest.CaptureFixture[str], *words: str, status: int = 1) -> str:
    """What a command that fails says where importing torch would fail, too."""
    capsys.readouterr()
    assert command_without("torch", words) == status
    output = capsys.readouterr().err
    assert "needs the package" not in output
    return output


ONE_CLASS = ("a,oak,x\nb,elm,x\n", "has one class, 'x'; at least 2 classes are needed")
NO_VAL = ("a,oak,x\nb,elm,y\n", "no labelled node in its val split; label at least 3 nodes")


@pytest.mark.parametrize(
    ("command", "rows", "words"),
    [
        *((command, *ONE_CLASS) for command in ("teach", "distill", "evaluate")),
        *((command, *NO_VAL) for command in ("teach", "distill")),
    ],
)
def test_too_few_classes_or_nodes_are_told_without_loading_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, rows: str, words: str
) -> None:
    (tmp_path / "nodes.csv").write_text(f"id,text,label\n{rows}")
    with pytest.raises(SystemExit):
        main(["data", "import", str(tmp_path / "g"), "--nodes", str(tmp_path / "nodes.csv")])
    assert words in told_without_torch(capsys, command, str(tmp_path / "g"), str(tmp_path / "out"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--recipes", "unknown recipe 'combind'; choose from vanilla, kd, unlabeled, bd"),
        ("--students", "unknown student 'combind'; choose from sage, gcn"),
        ("--encoders", "unknown encoder 'combind'; choose from minilm, hashing"),
    ],
)
def test_names_that_no_evaluation_knows_are_told_without_loading_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, message: str
) -> None:
    save_graph(synthetic_graph(SyntheticOptions(nodes=60, classes=3)), tmp_path / "g")
    paths = (str(tmp_path / "g"), str(tmp_path / "out"))
    assert message in told_without_torch(capsys, "evaluate", *paths, option, "combind")
    kind = option.removeprefix("--").removesuffix("s")
    problem = told_without_torch(capsys, "evaluate", *paths, option, " , ")
    assert f"{option} ' , ' names no {kind}; choose from " in problem


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--epochs", "7", "--hidden", "32"), "other settings (hidden, training.epochs)"),
        (("--split-kind", "20-per-class"), "other settings (split_kind)"),
        (("--trials", "3", "--patience", "4"), "other settings (trials, training.patience)"),
        (("--student-precision", "bfloat16"), "other settings (training.precision)"),
        (("--frozen", "--hops", "0"), "other settings (teacher.hops, teacher.encoder.frozen)"),
        (("--teacher-epochs", "9"), "other settings (teacher.tuning.epochs)"),
    ],
)
def test_runs_of_other_settings_are_told_without_loading_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=60, classes=3))
    save_graph(graph, tmp_path / "g")
    (tmp_path / "out").mkdir()
    options = EvaluationOptions(teacher=TeacherChoices().options())
    check_plan(tmp_path / "out", graph, options)
    paths = (str(tmp_path / "g"), str(tmp_path / "out"))
    problem = told_without_torch(capsys, "evaluate", *paths, *words)
    assert (
        f"{tmp_path / 'out'} holds an evaluation with {message}; choose another folder" in problem
    )
    save_graph(synthetic_graph(SyntheticOptions(nodes=60, classes=3, seed=1)), tmp_path / "h")
    problem = told_without_torch(capsys, "evaluate", str(tmp_path / "h"), str(tmp_path / "out"))
    assert "holds an evaluation of another graph, or of this one before it changed" in problem


@pytest.mark.parametrize(
    ("before", "words", "message"),
    [
        (
            TeacherChoices(frozen=True, hops=(0, 1), learning_rate=1e-3),
            (),
            "(teacher.hops, teacher.tuning.learning_rate, teacher.encoder.frozen)",
        ),
        (
            TeacherChoices(teacher="org/model", precision="float32"),
            ("--teacher", "org/model", "--precision", "bfloat16"),
            "(teacher.causal.precision)",
        ),
        (
            TeacherChoices(),
            ("--teacher", "org/model"),
            "(teacher.teacher, teacher.prompts.tokens, teacher.prompts.nested, "
            "teacher.tuning.epochs, teacher.tuning.batch_size, teacher.tuning.learning_rate, "
            "teacher.encoder.max_tokens)",
        ),
    ],
)
def test_defaults_of_the_teacher_other_than_those_of_the_runs_are_told_without_loading_torch(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    before: TeacherChoices,
    words: tuple[str, ...],
    message: str,
) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=60, classes=3))
    save_graph(graph, tmp_path / "g")
    (tmp_path / "out").mkdir()
    check_plan(tmp_path / "out", graph, EvaluationOptions(teacher=before.options()))
    paths = (str(tmp_path / "g"), str(tmp_path / "out"))
    assert f"other settings {message}; choose" in told_without_torch(
        capsys, "evaluate", *paths, *words
    )


@pytest.mark.parametrize(
    ("choices", "flags", "shared"),
    [
        (TeacherChoices(), EvaluationFlags(), TeacherFlags()),
        (TeacherChoices(frozen=True), EvaluationFlags(), TeacherFlags(frozen=True)),
        (
            TeacherChoices(teacher="org/model", epochs=2, precision="float32", nested=False),
            EvaluationFlags(teacher="org/model", teacher_epochs=2, nested=False),
            TeacherFlags(precision="float32"),
        ),
        (
            TeacherChoices(tokens=99, hops=(1,)),
            EvaluationFlags(),
            TeacherFlags(tokens=99, hops="1"),
        ),
    ],
)
def test_the_settings_that_are_compared_early_are_those_of_the_plan(
    choices: TeacherChoices, flags: EvaluationFlags, shared: TeacherFlags
) -> None:
    plan = dict(named_settings(EvaluationOptions(teacher=choices.options()).fingerprint))
    early = {name: json.dumps(value) for name, value in teacher_settings(flags, shared).items()}
    assert len(early) > 15
    assert early.items() <= plan.items()


@pytest.mark.parametrize("command", ["teach", "evaluate"])
def test_wrong_hops_are_told_without_loading_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    words = (command, str(tmp_path / "g"), str(tmp_path / "out"), "--hops", "1.5")
    assert "--hops must be numbers such as 0,1,2, not '1.5'" in told_without_torch(capsys, *words)


def test_a_teacher_of_unknown_size_is_told_without_loading_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nodes.csv").write_text("id,text,label\na,oak,x\nb,elm,y\n")
    with pytest.raises(SystemExit):
        main(["data", "import", str(tmp_path / "g"), "--nodes", str(tmp_path / "nodes.csv")])
    result = told_without_torch(capsys, "plan", str(tmp_path / "g"), "--teacher", "some/model")
    assert "of parameters with --teacher-parameters" in result


def test_wrong_paths_are_told_without_loading_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(tmp_path / "nowhere")
    for command in ("teach", "distill", "evaluate", "export", "teacher-serve"):
        words = [command, nowhere] if command == "teacher-serve" else [command, nowhere, "out"]
        result = told_without_torch(capsys, *words)
        assert result.startswith(f"error: {nowhere} is not a"), result


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("teach", "{g}", "t", "--teacher", "encoder:nowhere"),
            "the folder 'nowhere' does not exist",
        ),
        (("teach", "{g}", "t", "--teacher", "encoder:{g}"), "{g} does not contain a text encoder"),
        (("teach", "{g}", "t", "--teacher", "gguf:nowhere"), "the file 'nowhere' does not exist"),
        (
            ("teach", "{g}", "t", "--teacher", "encodr"),
            "the folder 'encodr' does not exist; give gemma",
        ),
        (("teach", "{g}", "t", "--teacher", ""), "--teacher is empty; give gemma"),
        (("teach", "{g}", "t", "--teacher", "student:{g}"), "{g} is not a student folder"),
        (
            ("evaluate", "{g}", "e", "--teacher", "./nowhere"),
            "the folder './nowhere' does not exist",
        ),
        (("distill", "{g}", "s", "--encoder-path", "{g}"), "--encoder-path {g}: model.safetensors"),
    ],
)
def test_a_model_that_is_not_there_is_told_without_loading_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    save_graph(synthetic_graph(SyntheticOptions(nodes=60, classes=3)), tmp_path / "g")
    graph = str(tmp_path / "g")
    found = told_without_torch(capsys, *(word.replace("{g}", graph) for word in words))
    assert f"error: {message.replace('{g}', graph)}" in found


def test_another_graph_than_the_students_is_told_without_loading_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=60, classes=3))
    save_graph(graph, tmp_path / "other")
    config = {
        "format_version": 3,
        "graph_path": str(tmp_path / "gone"),
        "graph_name": "shelf",
        "graph_hash": "0" * 64,
        "encoder": {"kind": "hashing"},
        "student": {"kind": "sage"},
    }
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "config.json").write_text(json.dumps(config))
    words = [str(tmp_path / name) for name in ("student", "bundle", "other")]
    result = told_without_torch(capsys, "export", *words[:2], "--graph", words[2])
    assert "error: the student was trained on shelf with content hash 000000000000" in result


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--split-kind", "own"), "the graph's own split is one: ask for one split (--splits 1)"),
        (("--split-kind", "60-20-20"), "unknown kind of split '60-20-20'; choose from 60/20/20"),
    ],
)
def test_a_wrong_split_is_told_without_loading_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    save_graph(synthetic_graph(SyntheticOptions(nodes=60, classes=3)), tmp_path / "g")
    words = ("evaluate", str(tmp_path / "g"), str(tmp_path / "e"), *options)
    assert f"error: {message}" in told_without_torch(capsys, *words)


def test_a_split_of_its_own_that_tests_nobody_is_told_without_loading_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=60, classes=3))
    untested = {part: nodes for part, nodes in graph.splits.items() if part != "test"}
    save_graph(replace(graph, splits=untested), tmp_path / "g")
    words = (str(tmp_path / "g"), str(tmp_path / "e"), "--split-kind", "own", "--splits", "1")
    result = told_without_torch(capsys, "evaluate", *words)
    assert "has no labelled node in its test split; give some nodes the split" in result


def test_settings_of_a_teacher_have_their_names_in_the_plan() -> None:
    names = dict(named_settings({"teacher": asdict(EvaluationOptions().teacher)}))
    assert {f"teacher.{name}" for name in IN_PLAN.values()} <= set(names)
