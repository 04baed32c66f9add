"""The command line itself, before any command."""

import gc
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.absent_packages import command_without
from understudy.cli import (
    COMMANDS,
    EXTRAS,
    OBJECTS_A_ROUND,
    errors_in_a_line,
    few_collections,
    main,
    unread_variables,
)
from understudy.graph import SourceError

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def test_the_version_is_the_projects(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"understudy {PROJECT['version']}\n"


def test_help_lists_every_command_and_an_unknown_one_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    listed = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in listed] == []
    with pytest.raises(SystemExit) as ended:
        main(["distil"])
    assert ended.value.code == 2
    assert "distil" in capsys.readouterr().err


def test_every_command_has_an_extra_that_there_is() -> None:
    assert EXTRAS.keys() == COMMANDS.keys()
    assert set(EXTRAS.values()) <= PROJECT["optional-dependencies"].keys()


def test_what_is_said_about_extras_names_the_distribution_and_an_extra_that_there_is() -> None:
    rooms = ("understudy", "training", "export", "service", "benchmarks")
    said = [
        hint
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        for hint in re.findall(r"pip install '([^']+)'", path.read_text(encoding="utf-8"))
    ]
    extras = {f"understudy-gnn[{name}]" for name in PROJECT["optional-dependencies"]}
    assert set(said) <= extras | {"{project}", "understudy-gnn[{extra}]"}
    assert len(said) >= 5


def run(code: str, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def a_graph(folder: Path) -> str:
    with pytest.raises(SystemExit):
        main(["data", "synthetic", str(folder), "--nodes", "20"])
    return str(folder)


@pytest.mark.parametrize(
    ("missing", "words", "extra"),
    [
        ("torch", ("teach", "GRAPH", "out"), "training"),
        ("torch", ("distill", "GRAPH", "out"), "training"),
        ("safetensors", ("distill", "GRAPH", "out"), "training"),
        ("transformers", ("evaluate", "GRAPH", "out"), "training"),
        ("uvicorn", ("teacher-serve", "out"), "dev"),
        ("pydantic", ("serve", "out"), "service"),
        ("onnxruntime", ("serve", "out"), "service"),
        ("psutil", ("bench", "latency", "out"), "dev"),
    ],
)
def test_a_missing_extra_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    missing: str,
    words: tuple[str, ...],
    extra: str,
) -> None:
    places = {"GRAPH": str(tmp_path / "graph"), "out": str(tmp_path / "out")}
    if "GRAPH" in words:
        a_graph(tmp_path / "graph")
    assert command_without(missing, [places.get(word, word) for word in words]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: this needs the package {missing}, which is not installed: "
        f"pip install 'understudy-gnn[{extra}]'"
    )


def raise_(error: BaseException) -> None:
    raise error


RAISED: dict[str, tuple[Callable[[], object], str]] = {
    "ours": (lambda: raise_(SourceError("no\nsuch thing")), "error: no such thing"),
    "a file": (
        lambda: Path("/nowhere/at/all").read_bytes(),
        "error: /nowhere/at/all: No such file or directory",
    ),
    "a rename": (
        lambda: Path("/nowhere/one").rename("/nowhere/other"),
        "error: /nowhere/one: /nowhere/other: No such file or directory",
    ),
    "no file": (lambda: raise_(OSError("12 requested and 3 written")), "error: 12 requested and"),
    "memory": (lambda: raise_(MemoryError()), "error: out of memory: none"),
    "memory of tensors": (
        lambda: pytest.importorskip("torch").empty(2**58),
        "error: out of memory: 1,152,921,504,606,846,976 more by",
    ),
    "a library": (lambda: raise_(ImportError("libx.so: cannot open")), "error: a package cannot"),
}


@pytest.mark.parametrize("kind", RAISED)
def test_an_error_is_one_line(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    work, line = RAISED[kind]
    with pytest.raises(SystemExit) as ended, errors_in_a_line():
        work()
    assert ended.value.code == 1
    output = capsys.readouterr().err
    assert output.startswith(line)
    assert output.count("\n") == 1


def test_where_an_unexpected_error_was_raised_is_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as ended, errors_in_a_line():
        raise_(ZeroDivisionError("by nothing"))
    assert ended.value.code == 1
    output = capsys.readouterr().err
    assert output.startswith("error: unexpected ZeroDivisionError: by nothing (its stack")
    found = re.search(r"trace is in (\S+)\)", output)
    assert found is not None
    assert 'raise_(ZeroDivisionError("by nothing"))' in Path(found[1]).read_text()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(SystemExit), errors_in_a_line():
        raise_(ZeroDivisionError("by nothing"))
    assert "cannot be written" in capsys.readouterr().err


def test_ctrl_c_ends_without_a_trace_also_while_a_room_is_imported() -> None:
    code = (
        "import os, signal, sys\nfrom understudy.cli import main\n"
        # Whoever runs the tests in the background may have it ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'understudy.graph.commands': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "main(['data', 'describe', 'x'])\n"
    )
    ended = run(code)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.startswith("interrupted: ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("signal_raised", "status"), [(SystemExit(143), 143), (KeyboardInterrupt(), 130)]
)
def test_a_signal_while_an_extension_module_is_imported_is_no_broken_package(
    signal_raised: BaseException, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, errors_in_a_line():
        raise ImportError("initialization failed") from signal_raised  # as such modules do
    assert ended.value.code == status
    assert capsys.readouterr().err == ""


def test_handlers_of_signals_are_as_before() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)) == before


def test_the_collector_passes_seldom_while_a_command_runs_and_as_before_afterwards() -> None:
    before = gc.get_threshold()
    with few_collections():
        assert gc.get_threshold()[0] == OBJECTS_A_ROUND > before[0]
    assert gc.get_threshold() == before


def test_a_misspelt_variable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE", "PORT", "CACHE_SECONDS"):
        monkeypatch.setenv(f"UNDERSTUDY_{name}", "1")
    # Kubernetes sets these beside a service of that name.
    for name in ("SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT_8000_TCP_ADDR"):
        monkeypatch.setenv(f"UNDERSTUDY_{name}", "1")
    assert list(unread_variables()) == []
    monkeypatch.setenv("UNDERSTUDY_CAHCE", "1")
    monkeypatch.setenv("UNDERSTUDY_RATE_LIMITS", "1")
    monkeypatch.setenv("UNDERSTUDY_ZZZ", "1")
    message = "the environment variable UNDERSTUDY_"
    assert list(unread_variables()) == [
        f"{message}CAHCE is unknown and ignored; did you mean UNDERSTUDY_CACHE?",
        f"{message}RATE_LIMITS is unknown and ignored; did you mean UNDERSTUDY_RATE_LIMIT?",
        f"{message}ZZZ is unknown and ignored",
    ]


def test_letters_that_stdout_cannot_say_end_no_command(tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text("id,text,label\na,oak,b\u00e4ume\n", encoding="utf-8")
    words = ["data", "import", str(tmp_path / "g"), "--nodes", str(tmp_path / "nodes.csv")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    describe = ["data", "describe", str(tmp_path / "g")]
    for call in (words, describe, [*describe, "--json"]):
        ended = subprocess.run(
            [sys.executable, "-m", "understudy", *call],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        if "--json" in call:
            assert json.loads(ended.stdout)["classes"][0]["label"] == "b\u00e4ume"
        else:
            assert "b\\xe4ume" in ended.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("teach", "g", "t", "--learning-rate", "nan"), "'--learning-rate': nan is not a finite"),
        (("distill", "g", "s", "--dropout", "nan"), "'--dropout': nan is not a finite number"),
        (("plan", "g", "--machine-price", "1e309"), "'--machine-price': 1e309 is not a finite"),
        (("evaluate", "g", "e", "--teacher-learning-rate", "inf"), "inf is not a finite number"),
        (
            ("data", "from-service", ".", "g", "--timeout", "nan"),
            "'--timeout': nan is not a fin",
        ),
        (
            ("predict", "localhost:1", "in.csv", "--timeout", "inf"),
            "'--timeout': inf is not a fin",
        ),
        (("refresh", ".", "b", "w", "--tolerance", "nan"), "'--tolerance': nan is not a finite"),
        (("data", "synthetic", "g", "--nodes", str(2**63)), f"'--nodes': {2**63} is more than"),
        (("export", "s", "b", "--workers", str(2**70)), f"'--workers': {2**70} is more than"),
        (("distill", "g", "s", "--epochs", "1e3"), "'--epochs': '1e3' is not a whole number."),
        (("distill", "g", "s", "--dropout", "0,5"), "'--dropout': '0,5' is not a number."),
    ],
)
def test_what_passes_for_a_number_and_is_none_is_refused_by_name_before_any_work(
    words: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_graph_that_no_memory_can_hold_is_told_as_that(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["data", "synthetic", str(tmp_path / "graph"), "--nodes", str(2**62)])
    assert "error: out of memory: " in capsys.readouterr().err
