"""The README's requests, sent as shown; only addresses and ids are replaced."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Service

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000"
IDS = {"curl": "node-0", "libc6": "node-1", "libstdc++6": "node-2"}


def adapted(text: str, service: Service) -> str:
    assert ADDRESS in text
    for theirs, ours in IDS.items():
        text = text.replace(f'"{theirs}"', f'"{ours}"')
    return text.replace(ADDRESS, service.url)


def test_the_curl_session(service: Service) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    (command,) = re.findall(r"```\n(curl .*?)\n```", README, re.DOTALL)
    done = subprocess.run(
        shlex.split(adapted(command, service)), capture_output=True, text=True, check=True
    )
    stored, unseen = json.loads(done.stdout)["predictions"]
    assert stored["id"] == "node-0"
    for prediction in (stored, unseen):
        assert prediction["error"] is None
        assert prediction["label"] == prediction["top"][0]["label"]


def test_the_python_session(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)\n```", README, re.DOTALL)
    exec(adapted(code, service), {})
    assert len(capsys.readouterr().out.split()) == 2
