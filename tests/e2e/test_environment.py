"""A service whose environment names certificates that cannot be used."""

import subprocess

import pytest

from tests.bundles import TinyBundle
from tests.e2e.conftest import START_SECONDS, command, environment


@pytest.mark.parametrize("flag", ["--teacher-url", "--upstream-url"])
def test_a_service_that_cannot_ask_others_says_why_at_its_start(
    tiny_bundle: TinyBundle, flag: str
) -> None:
    run = subprocess.run(
        command(tiny_bundle.folder, "--port", "0", flag, "https://127.0.0.1:9/v1"),
        env={**environment(), "SSL_CERT_FILE": "/missing"},
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )
    assert run.returncode == 1
    assert "error: no connection can be made: " in run.stderr
    assert "SSL_CERT_FILE" in run.stderr
