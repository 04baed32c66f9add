"""One JSON object per line, and never a client's text."""

import asyncio
import json
import logging
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from service.app import create_app
from service.http.access import Role, add_key
from service.settings import Settings
from service.telemetry.logs import JsonFormatter, TextFormatter, current_request
from tests.bundles import TinyBundle
from understudy.engine import Engine


def test_a_record_is_one_line_with_its_request_and_its_fields() -> None:
    token = current_request.set(b"r-1")
    try:
        raise ValueError("a\nb")
    except ValueError:
        record = logging.makeLogRecord(
            {"msg": "it %s", "args": ("failed",), "levelname": "ERROR", "status": 500}
            | {"exc_info": sys.exc_info()}
        )
        line = JsonFormatter().format(record)
    finally:
        current_request.reset(token)
    assert "\n" not in line
    value = json.loads(line)
    assert (value["message"], value["level"], value["status"]) == ("it failed", "error", 500)
    assert value["request_id"] == "r-1"
    assert "ValueError" in value["exception"]


def test_neither_texts_nor_keys_are_logged(
    tiny_bundle: TinyBundle, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine.open(tiny_bundle.folder)

    def fail(_: object) -> None:
        raise RuntimeError("broken")

    async def ask() -> None:
        app = create_app(engine, Settings(log_requests=True))
        transport = httpx.ASGITransport(app)
        headers = {"authorization": "Bearer a-private-key"}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            body = {"nodes": [{"text": "a private text"}]}
            assert (await client.post("/classify", json=body, headers=headers)).status_code == 200
            json_type = {"content-type": "application/json"}
            bad = '{"nodes": [{"text": "a private text", "x": 1}]}'
            assert (
                await client.post("/classify", content=bad, headers=json_type)
            ).status_code == 422
            monkeypatch.setattr(engine, "infer", fail)
            assert (await client.post("/classify", json=body)).status_code == 500

    with caplog.at_level(logging.DEBUG):
        asyncio.run(ask())
    formatter = JsonFormatter()
    lines = [formatter.format(record) for record in caplog.records]
    assert sum('"answered"' in line for line in lines) == 3
    assert any("broken" in line for line in lines)
    assert not any("private" in line for line in lines)


def test_a_line_for_people_has_its_fields_and_cannot_be_forged() -> None:
    token = current_request.set(b"r-1")
    try:
        fields = {"method": "GET", "path": "/nodes/a\nb", "status": 200, "key": "my key"}
        record = logging.makeLogRecord(
            {"msg": "answered", "levelname": "INFO", "name": "x"} | fields
        )
        line = TextFormatter().format(record)
    finally:
        current_request.reset(token)
    expected = (
        r'INFO x answered method=GET path="/nodes/a\nb" status=200 key="my key" request_id=r-1'
    )
    assert line.endswith(expected)


def test_answers_are_logged_with_the_name_of_their_key(
    tiny_bundle: TinyBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = add_key(tmp_path / "keys.json", "grafana", Role.read)

    async def ask() -> None:
        settings = Settings(log_requests=True, keys_file=tmp_path / "keys.json")
        transport = httpx.ASGITransport(create_app(Engine.open(tiny_bundle.folder), settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for headers in ({"authorization": f"Bearer {secret}"}, {}):
                await client.get("/info", headers={**headers, "x-request-id": "r-2"})

    with caplog.at_level(logging.INFO, "service.http.gateway"):
        asyncio.run(ask())
    lines = [vars(record) for record in caplog.records if record.msg == "answered"]
    assert [(line["status"], line["key"]) for line in lines] == [(200, "grafana"), (401, "")]


def test_what_libraries_say_of_every_request_is_left_out() -> None:
    names = ("httpx", "mcp.server.streamable_http", "openai._base_client")
    script = (
        "import logging\n"
        "from service.telemetry.logs import configure_logs\n"
        "configure_logs('info', True)\n"
        f"for name in {names}:\n"
        "    logging.getLogger(name).info('a request')\n"
        "    logging.getLogger(name).warning('a warning')\n"
    )
    run = [sys.executable, "-c", script]
    log = subprocess.run(run, capture_output=True, text=True, check=True).stderr
    events = [json.loads(line) for line in log.splitlines()]
    assert [(event["logger"], event["message"]) for event in events] == [
        (name, "a warning") for name in names
    ]
