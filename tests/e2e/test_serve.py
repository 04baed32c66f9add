"""The serve command: how it starts, what it logs, and how it ends."""

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.bundles import TinyBundle, write_tiny_bundle
from tests.e2e.conftest import (
    POST_CLASSIFY,
    STOP_SECONDS,
    Service,
    command,
    environment,
    received,
    serving,
)


def refused(bundle: Path, *flags: str) -> str:
    """The error of a serve command that does not start: one line, no trace, status 1.

    Before it a slow machine is told, as events of the log, what it waits for.
    """
    result = subprocess.run(
        command(bundle, *flags),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(),
    )
    assert (result.returncode, result.stdout) == (1, "")
    *waits, error = result.stderr.splitlines()
    assert all(json.loads(line)["level"] == "info" for line in waits)
    assert error.startswith("error: ")
    return error


def test_no_bundle_is_said(tmp_path: Path) -> None:
    assert "understudy export" in refused(tmp_path, "--port", "0")


def test_a_damaged_bundle_is_said(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_bundle.folder, tmp_path / "bundle"))
    path = copy / "activations" / "logits.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "logits.npy was changed" in refused(copy, "--port", "0")


def test_an_occupied_port_is_said(tiny_bundle: TinyBundle) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert port in refused(tiny_bundle.folder, "--port", port)


def test_beyond_loopback_is_refused(tiny_bundle: TinyBundle) -> None:
    assert "allow-remote-without-key" in refused(tiny_bundle.folder, "--host", "0.0.0.0")


def test_sigterm_finishes_what_runs_and_exits_0(tiny_bundle: TinyBundle) -> None:
    nodes = [{"text": f"http socket {n}", "neighbors": ["node-1"]} for n in range(100)]
    body = json.dumps({"nodes": nodes}).encode()
    with serving(tiny_bundle.folder) as service, service.raw_connection() as connection:
        head = POST_CLASSIFY + b"content-length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body[:-1])
        # Once the next request is answered, the server has read this one's first part.
        assert service.classify({"id": "node-1"}).status_code == 200
        service.process.terminate()
        connection.sendall(body[-1:])
        answer = received(connection)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"}")
        assert service.process.wait(timeout=STOP_SECONDS) == 0


def test_health_and_info(service: Service, tiny_bundle: TinyBundle) -> None:
    assert service.client.get("/health/live").json() == {"status": "ok"}
    assert service.client.get("/health/ready").json() == {"status": "ok"}
    info = service.client.get("/info").json()
    assert info["model"] == "tiny-hashing"
    assert info["labels"] == list(tiny_bundle.graph.label_names)
    assert info["graph"]["nodes"] == tiny_bundle.graph.num_nodes
    assert (info["provider"], info["limits"]["nodes"]) == ("cpu", 300)
    answer = service.classify({"id": "node-0"}).json()
    assert answer["model_version"] == info["model_version"]


def test_the_documented_example_is_really_answered(service: Service) -> None:
    document = service.client.get("/openapi.json").json()
    operation = document["paths"]["/classify"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["example"]
    response = service.client.post("/classify", json=body)
    assert response.status_code == 200
    assert (
        response.json() == operation["responses"]["200"]["content"]["application/json"]["example"]
    )


def test_the_document_refers_only_to_what_it_holds(service: Service) -> None:
    text = service.client.get("/openapi.json").text
    schemas = service.client.get("/openapi.json").json()["components"]["schemas"]
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert {"ClassifyRequest", "ClassifyResponse", "ErrorBody", "Info"} <= names
    assert names <= schemas.keys()
    assert service.client.get("/docs").status_code == 200


def test_the_page_is_told_and_can_be_switched_off(tiny_bundle: TinyBundle) -> None:
    with serving(tiny_bundle.folder, "--no-page") as service:
        assert service.client.get("/").json()["error"]["code"] == "not_found"
        assert service.client.get("/docs").status_code == 200
    with subprocess.Popen(
        command(tiny_bundle.folder, "--port", "0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
    assert re.search(r"\(page at http://127\.0\.0\.1:\d+/, documentation at", line), line


def test_a_bundle_with_a_transformer_is_served(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle", "minilm")
    with serving(bundle.folder) as service:
        unseen = service.classify({"text": bundle.text(3), "neighbors": bundle.neighbors(3)})
        stored = service.classify({"id": "node-3"})
    first, second = (response.json()["predictions"][0] for response in (unseen, stored))
    assert first["label"] == second["label"]
    assert first["score"] == pytest.approx(second["score"], abs=1e-4)
