"""How many modules of ours one must read to follow a stored look-up from bytes to bytes."""

import asyncio
import re

import pytest
import uvicorn
from uvicorn.server import ServerState

from service.app import create_app
from service.http.protocol import wire_protocol
from service.settings import Settings
from tests.bundles import TinyBundle
from tests.walks import entered, told_of
from understudy.engine import Engine

BODY = b'{"nodes": [{"id": "node-1"}]}'
REQUEST = (
    b"POST /classify HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
MOST_MODULES = 8


def look_up(bundle: TinyBundle) -> set[str]:
    """Asks a served application twice for a stored node; the files that the second time enters."""

    async def ask() -> set[str]:
        settings = Settings()
        app = create_app(Engine.open(bundle.folder), settings)
        config = uvicorn.Config(
            app,
            http=wire_protocol(settings.wire, app.count_unread),
            ws="none",
            lifespan="off",
            log_config=None,
        )
        config.load()
        loop = asyncio.get_running_loop()
        served = await loop.create_server(
            lambda: config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=ServerState(), app_state={}
            ),
            "127.0.0.1",
            0,
        )
        reader, writer = await asyncio.open_connection(*served.sockets[0].getsockname())

        async def answer() -> bytes:
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            assert length is not None
            return head + await reader.readexactly(int(length[1]))

        await answer()
        with entered("service", "understudy") as files:
            second = await answer()
        assert second.startswith(b"HTTP/1.1 200")
        assert b'"id":"node-1"' in second
        writer.close()
        await writer.wait_closed()
        served.close()
        await served.wait_closed()
        await app.parts.close()
        return files

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def walk(tiny_bundle: TinyBundle) -> set[str]:
    return look_up(tiny_bundle)


def test_a_stored_look_up_enters_few_modules(walk: set[str]) -> None:
    assert len(walk) <= MOST_MODULES, sorted(walk)


def test_the_page_walks_through_the_modules_that_are_entered(walk: set[str]) -> None:
    assert told_of("a stored look-up") == walk
