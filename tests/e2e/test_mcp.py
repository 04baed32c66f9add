"""`understudy serve --mcp`: an assistant's client over HTTP, and the end of the service."""

import asyncio
import signal
from typing import Any

from mcp import Client

from tests.bundles import TinyBundle
from tests.e2e.conftest import STOP_SECONDS, serving


def test_an_assistant_asks_and_the_service_ends(tiny_bundle: TinyBundle) -> None:
    async def ask(url: str) -> list[Any]:
        async with Client(f"{url}/mcp") as client:
            unseen = {"nodes": [{"text": "http", "neighbors": ["node-1"]}]}
            asked = [client.call_tool("explain", unseen) for _ in range(5)]
            return await asyncio.gather(*asked, client.call_tool("neighbors", {"id": "node-1"}))

    with serving(tiny_bundle.folder, "--mcp") as service:
        *explained, near = asyncio.run(ask(service.url))
        answer = service.classify({"text": "http", "neighbors": ["node-1"]}, explain=True).json()
        for called in explained:
            assert called.structured_content["predictions"] == answer["predictions"]
        listed = service.client.get("/nodes/node-1/neighbors").json()["neighbors"]
        assert [entry["id"] for entry in near.structured_content["neighbors"]] == listed
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(STOP_SECONDS) == 0
