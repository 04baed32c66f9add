"""The message that is printed once the service listens."""

import json
import shlex
from collections.abc import Iterator

from understudy.engine.probing import probe_row
from understudy.engine.state import GraphState


def welcome(url: str, grpc: str | None, page: bool, keys: bool, sample: str) -> Iterator[str]:
    """Yields the lines of the message.

    Args:
        grpc: the address of gRPC, if it is served.
        page: whether the web page is served.
        keys: whether callers need a key.
        sample: see `example`.
    """
    shown = f"page at {url}/, " if page else ""
    yield f"listening on {url} ({shown}documentation at {url}/docs)"
    if grpc is not None:
        yield f"and for gRPC on {grpc}"
    key = ' -H "authorization: Bearer $KEY"' if keys else ""
    yield f"next: curl -s {url}/classify -H 'content-type: application/json'{key} {sample}"


def example(state: GraphState) -> str:
    """Makes curl's arguments for a question about a stored node, quoted for a shell."""
    row = probe_row(state)
    node = {"text": "a text"} if row is None else {"id": state.graph.id(row)}
    return f"-d {shlex.quote(json.dumps({'nodes': [node]}, ensure_ascii=False))}"
