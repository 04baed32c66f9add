"""A wall clock that jumps changes nothing: all waiting is by the monotonic one."""

import ast
import asyncio
import time
from pathlib import Path

import httpx
import pytest

import service
from service.app import create_app
from service.settings import Settings
from tests.bundles import TinyBundle
from understudy.engine import Engine

WALL_CLOCKS = {
    *("time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime"),
    *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today"),
    "datetime.date.today",
}


def wall_clocks(source: str) -> list[str]:
    """What a module reads of the wall clock, under whatever name it imported it."""
    tree = ast.parse(source)
    meant: dict[str, str] = {}  # a name in the module → what it stands for
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                meant[alias.asname or alias.name] = alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                meant[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            first, *rest = ast.unparse(node).split(".")
            if ".".join([meant.get(first, first), *rest]) in WALL_CLOCKS:
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


def test_no_decision_reads_the_wall_clock() -> None:
    assert service.__file__ is not None
    found = {
        path.name: clocks
        for path in Path(service.__file__).parent.rglob("*.py")
        if (clocks := wall_clocks(path.read_text(encoding="utf-8")))
    }
    # OpenAI's forms say when an answer was created.
    assert found.keys() == {"completions.py", "texts.py"}
    assert sum(map(len, found.values())) == 2


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "import time as clock\nclock.time_ns()",
        "from time import time\ntime()",
        "from time import time as now\nnow()",
        "from time import time\nfield(default_factory=time)",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime\ndatetime.now()",
        "from datetime import date as d\nd.today()",
    ],
)
def test_a_wall_clock_is_seen_under_any_name(source: str) -> None:
    assert wall_clocks(source)
    assert not wall_clocks("from time import monotonic, perf_counter\nmonotonic()")


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
