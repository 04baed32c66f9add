"""A service that is stopped while it works answers running requests, and ends."""

import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.bundles import TinyBundle
from tests.e2e.conftest import JSON, STOP_SECONDS, command, environment


def test_what_the_drain_leaves_no_time_for_is_told(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    log, connections = tmp_path / "log", list[socket.socket]()
    with socket.create_server(("127.0.0.1", 0)) as silent, log.open("w") as stream:
        teacher = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        flags = ["--port", "0", "--teacher-url", teacher, "--teacher-model", "nobody"]
        process = subprocess.Popen(
            command(tiny_bundle.folder, *flags, "--drain-seconds", "1", "--request-seconds", "60"),
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            env=environment(),
        )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[2]
            client = httpx.Client(base_url=url, headers=JSON, timeout=60)
            with client, ThreadPoolExecutor(1) as pool:
                body = {"nodes": [{"text": "a cursor"}], "route": "teacher"}
                waits = pool.submit(client.post, "/classify", json=body)
                asked = b""
                while b"/chat/completions" not in asked:  # others ask who it is
                    connections.append(silent.accept()[0])
                    asked = connections[-1].recv(65_536)
                process.terminate()
                answer = waits.result()
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "not_ready"
            assert answer.headers["retry-after"] == "1"
            assert process.wait(STOP_SECONDS) == 0
        finally:
            process.kill()
            process.communicate()
            for connection in connections:
                connection.close()
    assert "was cancelled" in log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_bus_error_is_told(tiny_bundle: TinyBundle) -> None:
    """Which the kernel sends where a mapped file was cut short: unless that is noticed before."""
    process = subprocess.Popen(
        command(tiny_bundle.folder, "--port", "0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening")
        process.send_signal(signal.SIGBUS)
        log = process.communicate(timeout=STOP_SECONDS)[1]
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGBUS
    assert "Fatal Python error: Bus error" in log
