"""Answers of unknown length for clients of HTTP/1.0, which know no chunks."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def end_by_closing(cycle: RequestResponseCycle) -> None:
    """Makes the end of the connection the end of an answer without a length.

    uvicorn would send it in chunks, and the client would read their sizes as part of the answer.
    """
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
