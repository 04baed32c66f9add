"""A real uvicorn server in a thread, for tests that need something to call."""

import socket
import threading
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI


def serve(app: FastAPI) -> tuple[str, Callable[[], None]]:
    """Serves `app` on a free port; returns its URL, and a function that stops it."""
    listener = socket.create_server(("127.0.0.1", 0))
    started = threading.Event()
    app.router.on_startup.append(started.set)
    config = uvicorn.Config(app, log_level="error", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    started.wait()

    def stop() -> None:
        server.should_exit = True
        thread.join()
        listener.close()

    return f"http://127.0.0.1:{listener.getsockname()[1]}", stop
