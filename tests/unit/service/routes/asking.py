"""Asking an application in this process."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from service.app import Service


def talk(app: Service, ask: Callable[[httpx.AsyncClient], Any]) -> Any:
    """What `ask` gets from the application."""

    async def run() -> Any:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await ask(client)

    return asyncio.run(run())


def get(app: Service, path: str) -> Any:
    return talk(app, lambda client: client.get(path)).json()
