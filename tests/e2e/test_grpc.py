"""`understudy serve --grpc-port`: HTTP and gRPC in one process, and its end."""

import signal
import socket
import subprocess
from typing import Any

import pytest
import tritonclient.grpc as triton  # type: ignore[import-untyped]

from tests.bundles import TinyBundle
from tests.e2e.conftest import STOP_SECONDS, Service, command, environment, serving

BOTH = ("--grpc-port", "0")


def grpc_address(service: Service) -> str:
    """As the second line that is printed says."""
    assert service.process.stdout is not None
    line = service.process.stdout.readline()
    assert line.startswith("and for gRPC on 127.0.0.1:")
    return line.split()[-1]


def test_both_wires_answer_and_end_together(tiny_bundle: TinyBundle) -> None:
    with serving(tiny_bundle.folder, *BOTH) as service:
        with triton.InferenceServerClient(grpc_address(service)) as asking:
            assert asking.is_server_ready()
            named: Any = triton.InferInput("id", [1], "BYTES")
            named._raw_content = b"\x06\x00\x00\x00node-1"
            label = asking.infer("tiny-hashing", [named]).as_numpy("label")[0].decode()
        assert label == service.classify({"id": "node-1"}).json()["predictions"][0]["label"]
        assert 'operation="oip_infer",status="200"' in service.client.get("/metrics").text
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(STOP_SECONDS) == 0


@pytest.mark.parametrize("taken", [True, False])
def test_a_port_that_cannot_be_had_is_one_line(tiny_bundle: TinyBundle, taken: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1]) if taken else "70000"
        ended = subprocess.run(
            command(tiny_bundle.folder, "--port", "0", "--grpc-port", port),
            capture_output=True,
            text=True,
            env=environment(),
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert "--grpc-port" in last
    assert "Traceback" not in ended.stderr
