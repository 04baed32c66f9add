"""A real uvicorn server in a thread, for tests that need something to call."""

import socket
import threading
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp


class ReadyServer(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


def serve(app: ASGIApp) -> tuple[str, Callable[[], None]]:
    """Serves `app` on a free port; returns its URL, and a function that stops it."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = ReadyServer(uvicorn.Config(app, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    server.ready.wait()

    def stop() -> None:
        server.should_exit = True
        thread.join()
        listener.close()

    return f"http://127.0.0.1:{listener.getsockname()[1]}", stop
