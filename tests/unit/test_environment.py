"""What `understudy collect-env` reports, and what it must not."""

import getpass
import json
import socket
import sys
from pathlib import Path

import pytest

from understudy import environment
from understudy.cli import main


def collected(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["collect-env", *words])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_versions_and_machine_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(collected(capsys, "--json"))
    assert facts["python"].endswith(".".join(map(str, sys.version_info[:3])))
    assert "CPUExecutionProvider" in facts["onnxruntime_providers"]
    assert facts["packages"]["numpy"]
    assert facts["extras"]["service"] == "installed"
    assert "GiB" in facts["memory"]
    lines = collected(capsys)
    assert f"python: {facts['python']}" in lines.splitlines()
    assert f"  numpy: {facts['packages']['numpy']}" in lines.splitlines()


def test_no_secret_and_no_place_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UNDERSTUDY_KEY", "understudy_geheim")
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    out = collected(capsys)
    assert "UNDERSTUDY_CACHE, UNDERSTUDY_KEY" in out
    for secret in ("geheim", str(tmp_path), str(Path.cwd()), sys.prefix, socket.gethostname()):
        assert secret not in out, secret
    assert f"/{getpass.getuser()}/" not in out


def test_a_missing_package_is_named_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "numpy>=2",
        'onnxruntime>=1; extra == "cpu"',
        'no-such-package; extra == "service"',
        'understudy-gnn[cpu]; extra == "service"',
    ]
    monkeypatch.setattr(environment, "requires", lambda _: lines)
    assert environment.by_extra()["service"] == ["no-such-package", "onnxruntime"]
    assert environment.extras() == {"cpu": "installed", "service": "without no-such-package"}


def test_a_gpu_program_that_fails_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.gpus() == []
    program.write_text("#!/bin/sh\nexit 9\n")
    program.chmod(0o755)
    assert environment.gpus() == ["nvidia-smi failed with status 9"]
    program.write_text("#!/bin/sh\necho ' A GPU, 1 MiB, 5'\n")
    assert environment.gpus() == ["A GPU, 1 MiB, 5"]


def test_without_being_installed_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PROJECT", "no-such-project")
    facts = environment.environment()
    assert facts["understudy"] == "run from its source folder, not installed"
    assert facts["extras"] == {}
