"""Using a client after it was closed."""

import asyncio

import pytest

from understudy.client import AsyncClient, Client, InvalidRequestError

HERE = "http://127.0.0.1:9"
CLOSED = r"this client of http://127\.0\.0\.1:9 is closed.*make another one"


def test_a_closed_client_says_what_to_do() -> None:
    with Client(HERE) as client:
        pass
    with pytest.raises(InvalidRequestError, match=CLOSED):
        client.classify("node-1")
    with pytest.raises(InvalidRequestError, match=CLOSED):
        client.ready()
    with pytest.raises(InvalidRequestError, match=CLOSED), client.graph_lines():
        pass


def test_a_closed_client_for_asyncio_says_what_to_do() -> None:
    async def ask() -> None:
        async with AsyncClient(HERE) as client:
            pass
        await client.classify("node-1")

    with pytest.raises(InvalidRequestError, match=CLOSED):
        asyncio.run(ask())
