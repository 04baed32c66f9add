"""Clients and proxies that offer another protocol: nginx, curl and Java, where installed."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import STOP_SECONDS, Service
from tests.programs import free_port, needed, nginx

BODY = {"nodes": [{"id": "node-1"}]}
# The map of nginx's own documentation on WebSockets; only one path is let through.
NGINX = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 16m;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 403; }}
        location = /classify {{
            proxy_pass {service};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""


@contextmanager
def nginx_before(service: Service, folder: Path) -> Iterator[str]:
    """nginx in front of a service; yields its URL."""
    port, settings = free_port(), folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # else its workers could not write here
    settings.write_text(NGINX.format(user=user, folder=folder, port=port, service=service.url))
    with nginx(settings, port) as url:
        yield url


@pytest.mark.parametrize("size", [0, 100_000, 400_000, 2_000_000])
@pytest.mark.parametrize("offer", ["websocket", "h2c"])
def test_no_request_is_smuggled_through_nginx(
    service: Service, tmp_path: Path, offer: str, size: int
) -> None:
    hidden = b"DELETE /nodes/node-2 HTTP/1.1\r\nhost: localhost\r\n\r\n"
    body = b" " * size + hidden
    headers = {"upgrade": offer, "connection": "upgrade", "content-type": "application/json"}
    with nginx_before(service, tmp_path) as url:
        answer = httpx.post(f"{url}/classify", content=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed_json")
        padded = json.dumps(BODY).encode() + b" " * size
        answer = httpx.post(f"{url}/classify", content=padded, headers=headers)
        assert answer.status_code == 200
        assert httpx.delete(f"{url}/nodes/node-2").status_code == 403
    assert service.client.get("/nodes/node-2").status_code == 200


@pytest.mark.parametrize("flag", ["--http2", "--http1.1", "--http1.0"])
def test_curl_is_answered(service: Service, flag: str) -> None:
    result = subprocess.run(
        [needed("curl"), "-sS", flag, "--json", json.dumps(BODY), f"{service.url}/classify"],
        capture_output=True,
        check=True,
        timeout=STOP_SECONDS,
    )
    assert json.loads(result.stdout)["predictions"][0]["id"] == "node-1"


def test_what_curl_sends_of_itself_is_refused_with_advice(service: Service) -> None:
    result = subprocess.run(
        [needed("curl"), "-sS", "-d", json.dumps(BODY), f"{service.url}/classify"],
        capture_output=True,
        check=True,
        timeout=STOP_SECONDS,
    )
    error = json.loads(result.stdout)["error"]
    assert error["code"] == "unsupported_media_type"
    assert "curl: --json" in error["message"]


def test_javas_client_is_answered(service: Service) -> None:
    program = Path(__file__).with_name("UpgradeClient.java")
    needed("javac")
    result = subprocess.run(
        [needed("java"), str(program), f"{service.url}/classify", json.dumps(BODY)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    status, _, answer = result.stdout.partition(" ")
    assert status == "200"
    assert json.loads(answer)["predictions"][0]["id"] == "node-1"
