"""Two replicas of one graph behind nginx, as docker/balancer/ sets it up."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.bundles import TinyBundle
from tests.e2e.conftest import (
    JSON,
    POST_CLASSIFY,
    START_SECONDS,
    STOP_SECONDS,
    Service,
    serving,
)
from tests.lossy_proxy import lossy_proxy
from tests.programs import free_port, needed, nginx

BALANCER = Path("docker/balancer")
IDS = [f"n/{number}" for number in range(12)]


def configure(folder: Path, ports: Sequence[int], port: int) -> None:
    """Puts our files in a folder: addresses instead of a container's name, and no /tmp."""
    for file in BALANCER.iterdir():
        (folder / file.name).write_text(file.read_text().replace("/tmp/", f"{folder}/"))
    if os.geteuid() == 0:  # else its workers could not write here
        process = folder / "process.conf"
        process.write_text(f"user root;\n{process.read_text()}")
    addresses = "".join(f"server 127.0.0.1:{replica};" for replica in ports)
    replicas = folder / "replicas.conf"
    text = re.sub("resolver .*", f"upstream replicas {{ {addresses} }}", replicas.read_text())
    text = text.replace("http://service:8000", "http://replicas")
    replicas.write_text(text.replace("listen 8080", f"listen 127.0.0.1:{port}"))


@contextmanager
def balanced(bundle: TinyBundle, folder: Path) -> Iterator[tuple[httpx.Client, Service, Service]]:
    """nginx in front of two replicas that keep one graph in one data folder."""
    needed("nginx")
    flags = ("--data-folder", str(folder / "data"), "--grace-seconds", "1")
    with (
        serving(bundle.folder, *flags) as one,
        serving(bundle.folder, *flags) as other,
        behind_nginx(folder, [port_of(one), port_of(other)]) as client,
    ):
        yield client, one, other


@contextmanager
def behind_nginx(folder: Path, ports: Sequence[int]) -> Iterator[httpx.Client]:
    """nginx in front of whatever listens on these ports."""
    port = free_port()
    configure(folder, ports, port)
    with (
        nginx(folder / "replicas.conf", port) as url,
        httpx.Client(base_url=url, headers=JSON, timeout=START_SECONDS) as client,
    ):
        yield client


def port_of(service: Service) -> int:
    return int(service.url.rpartition(":")[2])


def count(service: Service, operation: str) -> float:
    pattern = rf'requests_total{{operation="{operation}",status="200"}} (\S+)'
    found = re.search(pattern, service.client.get("/metrics").text)
    return float(found[1]) if found else 0.0


def wait_for_version(service: Service, version: int) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while service.client.get("/info").json()["graph_version"] < version:
        assert time.monotonic() < deadline


def test_any_replica_takes_changes_and_every_one_tells_them(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    with balanced(tiny_bundle, tmp_path) as (client, one, other):
        for node in IDS:  # a slash in an id stays in it
            path = f"/nodes/{node.replace('/', '%2F')}"
            client.put(path, json={"text": "http"}).raise_for_status()
        for service in (one, other):
            wait_for_version(service, len(IDS))
            nodes = service.classify(*({"id": node} for node in IDS)).json()["predictions"]
            assert [node["id"] for node in nodes] == IDS
            assert all(node["error"] is None for node in nodes)
            assert count(service, "put_node") > 0
        # What one replica says of itself is asked of it, not of whichever comes next.
        assert client.get("/metrics").status_code == 404
        assert client.post("/admin/reload", json={}).status_code == 404
        assert client.get("/").headers["content-type"].startswith("text/html")
        one.process.send_signal(signal.SIGKILL)
        one.process.wait()
        for node in IDS:
            client.post("/classify", json={"nodes": [{"id": node}]}).raise_for_status()


def test_a_replica_that_ends_costs_no_answer_and_without_any_there_is_none(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    body = {"nodes": [{"id": "node-1"}, {"text": "a cursor", "neighbors": ["node-2"]}]}
    with balanced(tiny_bundle, tmp_path) as (client, one, other):

        def ask() -> None:
            client.post("/classify", json=body).raise_for_status()
            client.put("/nodes/a", json={"text": "http"}).raise_for_status()

        ask()
        one.process.terminate()
        while one.process.poll() is None:
            ask()
        for _ in range(4):
            ask()
        other.process.send_signal(signal.SIGKILL)
        other.process.wait()
        assert client.post("/classify", json=body).status_code == 502


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_change_whose_answer_a_replica_loses_is_made_once(
    tiny_bundle: TinyBundle, tmp_path: Path, method: str
) -> None:
    """nginx sends it to the other one, which has made the change by then."""
    needed("nginx")
    flags = ("--data-folder", str(tmp_path / "data"))
    with (
        serving(tiny_bundle.folder, *flags) as one,
        serving(tiny_bundle.folder, *flags) as other,
        lossy_proxy(port_of(one)) as losing,
        behind_nginx(tmp_path, [losing.port, port_of(other)]) as client,
    ):
        losing.losing = f"{method} ".encode()
        body = {"text": "http"} if method == "PUT" else None
        answers = []
        for node in ("node-5", "node-6"):  # in turns: one of them goes to that replica first
            answers.append(client.request(method, f"/nodes/{node}", json=body))
            answers[-1].raise_for_status()
        assert losing.lost == 1
        assert sorted(answer.json()["repeated"] for answer in answers) == [False, True]


@pytest.mark.parametrize("name", ["replicas.conf", "teacher.conf"])
def test_nginx_reads_the_files_as_they_are(name: str, tmp_path: Path) -> None:
    for file in BALANCER.iterdir():
        (tmp_path / file.name).write_text(file.read_text().replace("/tmp/", f"{tmp_path}/"))
    command = [needed("nginx"), "-t", "-p", str(tmp_path), "-c", str(tmp_path / name)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_neither_bodies_nor_answers_fill_the_folder_of_temporary_files(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    """In the container that is memory, which one client could use up."""
    needed("nginx")
    long = "a long text " * 8_000
    added = [{"kind": "upsert_node", "id": f"n{number}", "text": long} for number in range(320)]
    with (
        serving(tiny_bundle.folder) as service,
        behind_nginx(tmp_path, [port_of(service)]) as client,
    ):
        for part in range(0, len(added), 80):
            body = {"mutations": added[part : part + 80]}
            service.client.post("/mutations", json=body).raise_for_status()
        host, port = client.base_url.host, client.base_url.port
        assert port is not None
        with socket.create_connection((host, port), timeout=START_SECONDS) as connection:
            connection.sendall(POST_CLASSIFY + b"content-length: 1000000000\r\n\r\n")
            assert connection.recv(64).startswith(b"HTTP/1.1 413 ")
        endless = (b"x" * 2**20 for _ in range(200))
        assert client.post("/classify", content=endless).status_code == 413
        (tmp_path / "proxy").rmdir()  # an answer that it wrote there would be cut off
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            connection.connect((host, port))
            connection.sendall(b"GET /nodes?limit=500 HTTP/1.0\r\nhost: localhost\r\n\r\n")
            read = b"".join(iter(lambda: connection.recv(2_048), b""))
        assert read.endswith(b"}")
        assert len(read) > len(added) * len(long)
