"""A wall clock that jumps changes nothing: all waiting is by the monotonic one."""

import ast
import asyncio
import time
from pathlib import Path

import httpx
import pytest

import service
from service import Engine
from service.app import create_app
from service.settings import Settings
from tests.bundles import TinyBundle

WALL_CLOCKS = {"time", "time_ns", "now", "utcnow", "today"}


def test_no_decision_reads_the_wall_clock() -> None:
    assert service.__file__ is not None
    found = []
    for path in Path(service.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value)
                if owner in ("time", "datetime", "date") and node.func.attr in WALL_CLOCKS:
                    found.append(f"{path.name}: {ast.unparse(node)}")
    assert not found


def test_requests_are_answered_while_the_clock_jumps(
    tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine.open(tiny_bundle.folder)
    jumps = iter(range(10_000))

    async def ask() -> None:
        app = create_app(engine, Settings(rate_limit=1e6, probe_seconds=0))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            monkeypatch.setattr(time, "time", lambda: (-1) ** next(jumps) * 1e9)
            for number in range(20):
                body = {"nodes": [{"text": f"http {number}"}]}
                assert (await client.post("/classify", json=body)).status_code == 200
                assert (await client.get("/health/ready")).status_code == 200
            monkeypatch.undo()

    asyncio.run(ask())
