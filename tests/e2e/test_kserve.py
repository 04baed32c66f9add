"""KServe's client, if an interpreter with it is configured."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Service, environment

VARIABLE = "UNDERSTUDY_KSERVE_PYTHON"
SCRIPT = Path(__file__).with_name("kserve_client.py")
SECONDS = 120


@pytest.fixture(scope="module")
def answers(service: Service) -> Any:
    python = os.environ.get(VARIABLE)
    if not python:
        pytest.skip(
            f"{VARIABLE} names no Python with the package kserve (install requirements/kserve.txt)"
        )
    command = [python, str(SCRIPT), service.url, "tiny-hashing"]
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={name: v for name, v in environment().items() if name != "PYTHONPATH"},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_it_finds_the_server_and_its_model(answers: Any) -> None:
    found = [answers[name] for name in ("live", "ready", "model", "other")]
    assert found == [True, True, True, False]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("wide", [True, False])
def test_it_gets_what_others_get(service: Service, answers: Any, binary: bool, wide: bool) -> None:
    unseen = {"text": "http socket ü", "neighbors": ["node-1"]}
    expected = service.classify({"id": "node-7"}, unseen).json()["predictions"]
    answer = answers[f"binary={binary} wide={wide}"]
    assert answer["id"] == "k-1"
    assert answer["label"] == [prediction["label"] for prediction in expected]
    assert answer["score"] == pytest.approx([p["score"] for p in expected], abs=1e-6)
    assert answers["plain"]["label"] == answer["label"][:1]


def test_it_says_what_is_wrong_in_words(answers: Any) -> None:
    assert answers["refusal"].startswith("unknown_node: no stored node has the id 'nobody'")
    assert "404 Not Found" in answers["refusal"]
    assert answers["unknown"].startswith("unknown_model: there is no model 'other'")
