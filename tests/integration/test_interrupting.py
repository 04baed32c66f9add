"""Interrupted commands: one line, the status of the signal, and no partial output."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from training.teacher.answers.folder import read_info
from understudy.graph import save_graph
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

ROOT = Path(__file__).parents[2]
# Whoever runs the tests in the background may have it ignored.
COMMAND = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from understudy.cli import main
main()
"""
PLUGIN = """
import os, time
import numpy as np
from torch import nn
from training.student.network import register_student
from training.teacher.local import register_teacher
from training.teacher.protocol import Answers

def wait():
    print("at work", flush=True)
    time.sleep(60)

class Endless(nn.Module):
    def forward(self, h):
        wait()

class Halting:
    digest = "halting"
    answered = 0

    def batches(self, prompts, tokens_per_batch):
        return [list(range(len(prompts)))]

    def answer(self, prompts):
        if self.answered >= int(os.environ["PATIENCE_OF_TEST"]):
            wait()
        self.answered += len(prompts)
        print("answered", len(prompts), flush=True)
        return Answers(np.log(np.full((len(prompts), 2), 0.5, dtype=np.float32)))

register_student("endless", lambda config: Endless(), "none")
register_teacher("halting", lambda graph, options: Halting())
"""


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interrupting") / "graph"
    save_graph(synthetic_graph(SyntheticOptions(nodes=1_100, classes=2, words=8)), folder)
    return folder


@pytest.fixture
def plugged(tmp_path: Path) -> Mapping[str, str]:
    """An environment with a plugin that does not come to an end."""
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "halting_plugin.py").write_text(PLUGIN)
    return {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path / 'plugin'}",
        "UNDERSTUDY_PLUGINS": "halting_plugin",
        "PATIENCE_OF_TEST": "1000",
    }


def at_work(
    environment: Mapping[str, str], code: str, *words: object
) -> tuple[subprocess.Popen[str], str]:
    """A process of Python that has come to its work, and what it has said on stdout."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line == "at work\n":
            break
    return process, "".join(said)


def interrupted(environment: Mapping[str, str], number: int, *words: object) -> tuple[str, str]:
    """What a command says on stdout and stderr when a signal comes while it is at work."""
    process, said = at_work(environment, COMMAND, *words)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number, errors
    assert "Traceback" not in errors
    return said, errors


def test_teach_says_that_it_goes_on_and_does(
    graph: Path, plugged: Mapping[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out" / "teacher"
    words = ("teach", graph, out, "--teacher", "halting", "--hops", "0")
    said, errors = interrupted(plugged, signal.SIGINT, *words)
    assert said == "answered 1024\nat work\n"
    assert errors.splitlines()[-1] == (
        "interrupted: the same command resumes from the last checkpoint, which is kept beside OUT; "
        "answers of an endpoint, or of a frozen encoder with --no-show-labels, are kept in the "
        "cache"
    )
    assert not out.exists()
    again = subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, words)],
        env={**plugged, "PATIENCE_OF_TEST": "2000"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert [line for line in again.stdout.splitlines() if "answered" in line] == ["answered 76"]
    assert read_info(out).kind == "halting"
    assert [path.name for path in out.parent.iterdir()] == ["teacher"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_distill_says_that_it_starts_again(
    graph: Path, plugged: Mapping[str, str], tmp_path: Path, number: int
) -> None:
    out = tmp_path / "out" / "student"
    words = ("distill", graph, out, "--encoder", "hashing", "--student", "endless")
    _, errors = interrupted(plugged, number, *words)
    assert errors.splitlines()[-1] == (
        "interrupted: no partial result is left; the same command starts from the beginning; "
        "encoded texts are kept"
    )
    assert not any(out.parent.glob("*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_ends_with_the_command_that_it_runs(tmp_path: Path, number: int) -> None:
    words = ("demo", "--dataset", "synthetic", "--nodes", "500", "--out", str(tmp_path / "demo"))
    demo = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    assert demo.stderr is not None
    for line in demo.stderr:
        if line.startswith("Loading torch"):  # `teach` is at work
            break
    children = psutil.Process(demo.pid).children(recursive=True)
    assert children
    demo.send_signal(number)
    _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 128 + number
    assert errors.splitlines()[-1].startswith("interrupted: the same command starts again")
    assert "Traceback" not in errors
    assert not any(child.is_running() for child in children)


def test_a_command_ends_with_the_killed_one_that_runs_it(
    graph: Path, plugged: Mapping[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out" / "student"
    words = ("distill", graph, out, "--encoder", "hashing", "--student", "endless")
    runs_it = (
        "import sys; from understudy.command_line.subcommands import run_command\n"
        "run_command(*sys.argv[1:])"
    )
    runner, _ = at_work(plugged, runs_it, *words)
    children = psutil.Process(runner.pid).children(recursive=True)
    assert children
    runner.kill()
    _, alive = psutil.wait_procs(children, timeout=30)
    for child in alive:
        child.kill()
    assert not alive
    _, errors = runner.communicate(timeout=30)
    assert errors.splitlines()[-1].startswith("interrupted: no partial result is left")
    assert not any(out.parent.glob("*"))


def test_an_impatient_user_sees_no_trace(graph: Path, tmp_path: Path) -> None:
    """Control-C again while the interpreter ends, which takes seconds after torch was loaded."""
    code = """
import atexit, signal, time
from understudy import cli

def last():
    print("at work", flush=True)
    time.sleep(60)

def interrupted(*_):
    signal.raise_signal(signal.SIGINT)

atexit.register(last)
signal.signal(signal.SIGINT, signal.default_int_handler)
cli.refuse_no_numbers = interrupted
cli.main()
"""
    process, _ = at_work(os.environ, code, "distill", graph, tmp_path / "student")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert errors.startswith("interrupted: no partial result is left")
    assert "Traceback" not in errors
