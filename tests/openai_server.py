"""A small OpenAI-compatible server with scripted answers."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[[dict[str, Any]], str]


class OpenAIServer:
    """Answers chat completions with what `reply` makes of the request.

    Attributes:
        status: of every answer.
        body: sent instead of a completion, where it is set.
        headers: sent beside those of every answer, or instead.
        trickle: seconds between two bytes of an answer.
        released: while it is not set, answers are held back.
    """

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.status = 200
        self.body: bytes | None = None
        self.headers: dict[str, str] = {}
        self.trickle = 0.0
        self.requests: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []
        self.released = threading.Event()
        self.released.set()
        self.asked = threading.Event()
        self.stopped = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        request = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        self.requests.append(request)
        self.authorizations.append(handler.headers["authorization"])
        self.asked.set()
        self.released.wait(60)
        message = {"role": "assistant", "content": self.reply(request)}
        value = {"object": "chat.completion", "choices": [{"index": 0, "message": message}]}
        body = json.dumps(value).encode() if self.body is None else self.body
        try:
            handler.send_response(self.status)
            headers = {"content-type": "application/json", "content-length": str(len(body))}
            for name, header in (headers | self.headers).items():
                handler.send_header(name, header)
            handler.end_headers()
            if not self.trickle:
                handler.wfile.write(body)
                return
            for byte in body:
                if self.stopped.wait(self.trickle):
                    return
                handler.wfile.write(bytes([byte]))
        except OSError:
            pass  # the service gave up, as a test wants it to

    def close(self) -> None:
        self.released.set()
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def openai_server(reply: Reply) -> Iterator[OpenAIServer]:
    server = OpenAIServer(reply)
    try:
        yield server
    finally:
        server.close()
