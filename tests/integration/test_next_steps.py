"""The whole job in a shell, by the next step that each command prints; with a plugin."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from understudy.bundle import open_bundle
from understudy.cli import main

ROOT = Path(__file__).parents[2]
PLUGIN = """
import numpy as np
import torch
from torch import nn
from training.losses.objectives import Objective, register_objective
from training.student.network import register_student
from training.teacher.local import register_teacher
from training.teacher.protocol import Answers


class Gated(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.own, self.gate = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, h, aggregated):
        return self.own(h) + torch.sigmoid(self.gate(h)) * aggregated


class Smallness(Objective):
    def forward(self, student, output, batch):
        return output.logits.square().mean()


class ByLength:
    digest = "by-length"

    def batches(self, prompts, tokens_per_batch):
        return [list(range(len(prompts)))]

    def answer(self, prompts):
        shares = np.full((len(prompts), 2), 0.1, dtype=np.float32)
        shares[range(len(prompts)), [len(prompt.description) % 2 for prompt in prompts]] = 0.9
        return Answers(np.log(shares))


register_student("gated", lambda config: Gated(config.hidden), "mean")
register_objective("smallness", lambda data, targets, student, options: Smallness())
register_teacher("length", lambda graph, options: ByLength())
"""


@pytest.fixture
def plugged(tmp_path: Path) -> Mapping[str, str]:
    (tmp_path / "a_plugin.py").write_text(PLUGIN)
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    return {**os.environ, "PYTHONPATH": path, "UNDERSTUDY_PLUGINS": "a_plugin"}


def next_of(shown: str) -> str:
    (line,) = (line for line in shown.splitlines() if line.startswith("next: "))
    return line.removeprefix("next: ")


def test_each_command_says_what_comes_next(tmp_path: Path, plugged: Mapping[str, str]) -> None:
    def shell(command: str, environment: Mapping[str, str] = plugged) -> str:
        done = subprocess.run(
            command, shell=True, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    own = tmp_path / "a folder"
    python = f"{sys.executable} -m understudy"
    made = shell(f"{python} data synthetic '{own}/graph' --nodes 60 --classes 2 --words 8")
    taught = shell(f"{next_of(made)} --teacher length --hops 0")
    learned = "--student gated --objective smallness --objective cross_entropy --epochs 2"
    distilled = shell(f"{next_of(taught)} {learned} --encoder hashing --hidden 8 --layers 1")
    exported = shell(next_of(distilled))
    manifest = open_bundle(own / "bundle").manifest
    assert manifest.student.kind == "gated"
    unplugged = {**plugged, "UNDERSTUDY_PLUGINS": ""}  # torch need not be imported once more
    again = shell(
        f"{python} data synthetic '{own}/other' --nodes 60 --classes 2 --words 8", unplugged
    )
    assert next_of(again).endswith(f"'{own}/other' '{own}/teacher-2'")

    server = subprocess.Popen(
        ["/bin/sh", "-c", f"exec {next_of(exported)} --port 0"],
        env=plugged,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("listening on ")
        answer = json.loads(shell(next_of(server.stdout.readline())))
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    (prediction,) = answer["predictions"]
    assert prediction["label"] in manifest.label_names


def test_a_network_that_none_has_is_a_line(tmp_path: Path, plugged: Mapping[str, str]) -> None:
    words = ("distill", str(tmp_path / "graph"), str(tmp_path / "student"), "--student", "gatd")
    command = [sys.executable, "-m", "understudy", *words]
    done = subprocess.run(command, env=plugged, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: --student gatd: choose from sage, gcn")
    assert "mlp, gated; docs/guides/extending.md" in line


def test_a_wrong_plugin_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: none of them registers anything."""
    monkeypatch.syspath_prepend(tmp_path)

    def refused(plugin: str) -> str:
        monkeypatch.setenv("UNDERSTUDY_PLUGINS", plugin)
        with pytest.raises(SystemExit) as ended:
            main(["distill", str(tmp_path / "graph"), str(tmp_path / "student")])
        assert ended.value.code == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert refused("nowhere.at_all") == (
        "error: UNDERSTUDY_PLUGINS names 'nowhere.at_all', which cannot be imported: there is no "
        "such module; put its folder on PYTHONPATH, or install it"
    )
    (tmp_path / "broken_plugin.py").write_text("1 / 0\n")
    assert refused("broken_plugin").endswith("ZeroDivisionError: division by zero")
    (tmp_path / "program_plugin.py").write_text("import sys\n\nsys.exit(0)\n")
    assert "'program_plugin', which cannot be imported: SystemExit" in refused("program_plugin")
    (tmp_path / "twice_plugin.py").write_text(
        "from training.student.network import register_student\n"
        "register_student('sage', lambda config: None, 'mean')\n"
    )
    assert "'sage' exists already" in refused("twice_plugin")
