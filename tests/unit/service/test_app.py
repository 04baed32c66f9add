"""The application in process: cases that cannot be provoked from outside."""

import asyncio
import logging
from pathlib import Path

import httpx
import pytest

from service.app import create_app
from service.settings import Settings
from tests.bundles import TinyBundle
from tests.redis_server import RedisServer
from understudy.engine import Engine
from understudy.engine.errors import InferenceError
from understudy.graph.errors import JournalError
from understudy.graph.log.protocol import Record
from understudy.graph.log.streams.options import RedisLogOptions


@pytest.fixture
def engine(tiny_bundle: TinyBundle) -> Engine:
    return Engine.open(tiny_bundle.folder)


def ask(engine: Engine, method: str, path: str, body: object = None) -> httpx.Response:
    """One request to a fresh application."""

    async def send() -> httpx.Response:
        app = create_app(engine, Settings(probe_seconds=0))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, json=body)

    return asyncio.run(send())


UNSEEN = {"nodes": [{"id": "node-1"}, {"text": "http"}]}


def test_a_failing_network_is_a_plain_500(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise InferenceError("the student's networks failed")

    monkeypatch.setattr(engine, "infer", fail)
    response = ask(engine, "POST", "/classify", UNSEEN)
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "inference_failed"
    (record,) = [r for r in caplog.records if r.name == "service.http.gateway"]
    assert record.levelname == "ERROR"


def test_an_unexpected_error_is_logged_and_not_told(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(engine, "resolve", fail)
    with caplog.at_level(logging.ERROR):
        response = ask(engine, "POST", "/classify", UNSEEN)
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal_error"
    assert "secret" not in response.text
    assert "secret" in caplog.text


def test_an_unexpected_error_of_a_plain_route_is_not_told(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(engine, "provider")
    response = ask(engine, "GET", "/info")
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal_error"


def test_a_broken_model_is_alive_but_not_ready(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise InferenceError("no answer")

    monkeypatch.setattr(engine, "probe", fail)
    assert ask(engine, "GET", "/health/live").status_code == 200
    response = ask(engine, "GET", "/health/ready")
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "not_ready"
    assert "retry-after" in response.headers


def test_a_change_that_a_lost_log_refuses_tells_no_folder(
    tiny_bundle: TinyBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data"
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        data.rename(tmp_path / "moved")
        refused = ask(engine, "DELETE", "/nodes/node-3")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "journal_failed")
        assert refused.json()["error"]["message"].startswith("journal.sqlite, or its -wal or -shm")
        assert str(tmp_path) not in refused.text
        assert f"a change was not acknowledged: {data}/journal.sqlite" in caplog.text
        (tmp_path / "moved").rename(data)
        assert ask(engine, "DELETE", "/nodes/node-3").status_code == 200


def test_a_change_that_the_logs_redis_refuses_tells_no_address(
    tiny_bundle: TinyBundle, tmp_path: Path, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    log = RedisLogOptions(redis.url)
    with Engine.open(tiny_bundle.folder, data=tmp_path, log=log) as engine:
        redis.client.flushall()  # all that it had acknowledged
        lost = ask(engine, "DELETE", "/nodes/node-3")
        assert (lost.status_code, lost.json()["error"]["code"]) == (503, "journal_failed")
        redis.kill()
        try:
            away = ask(engine, "DELETE", "/nodes/node-3")
        finally:
            redis.start()
    assert (away.status_code, away.json()["error"]["code"]) == (503, "log_unavailable")
    for answer in (lost, away):
        message = answer.json()["error"]["message"]
        assert str(redis.port) not in message
        assert "127.0.0.1" not in message
    assert f"the log in Redis at 127.0.0.1:{redis.port} is missing or was replaced" in caplog.text
    assert f"the log in Redis at 127.0.0.1:{redis.port} is unavailable (" in caplog.text


def test_a_service_that_cannot_follow_the_log_answers_and_is_not_ready(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        engine.following.close()
        read = engine.writer.log.read

        def broken(after: int) -> list[Record]:
            raise JournalError("the disk is gone")

        engine.writer.log.read = broken  # type: ignore[method-assign]
        change = {"mutations": [{"kind": "delete_node", "id": "node-3"}]}
        refused = ask(engine, "POST", "/mutations", change)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "journal_failed")
        assert ask(engine, "GET", "/health/ready").status_code == 503
        assert ask(engine, "POST", "/classify", UNSEEN).status_code == 200
        engine.writer.log.read = read  # type: ignore[method-assign]
        assert ask(engine, "POST", "/mutations", change).status_code == 200
        assert ask(engine, "GET", "/health/ready").status_code == 200
