"""Answers for clients of HTTP/1.0, which know neither chunks nor interim answers."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def answer_as_1_0(cycle: RequestResponseCycle) -> None:
    """Keeps uvicorn from answers that the client would take for something else.

    The end of the connection becomes the end of an answer without a length: the sizes of chunks
    would be read as part of the answer. A `100 Continue` would be read as the whole answer.
    """
    cycle.waiting_for_100_continue = False
    send = cycle.send
    unchunked = False

    async def send_unchunked(message: Any) -> None:
        nonlocal unchunked
        if message["type"] == "http.response.start":
            headers = list(message["headers"])
            unchunked = all(name != b"content-length" for name, _ in headers)
            if unchunked:
                cycle.chunked_encoding = cycle.keep_alive = False
                others = [header for header in headers if header[0] != b"connection"]
                message = {**message, "headers": others}
        elif unchunked:
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    cycle.send = send_unchunked  # type: ignore[method-assign]
