"""The route that streams the whole graph, line by line."""

from collections.abc import AsyncIterator, Iterator

from fastapi import APIRouter
from starlette.responses import Response

from service.http.bodies import SerialExecutor
from service.inference.streams import Stream
from service.routes.dependencies import READ, Served
from understudy.engine.originals import Originals
from understudy.graph.mutable.stream import graph_lines

MEDIA_TYPE = "application/x-ndjson"
VERSION_HEADER = "x-graph-version"
MOST_AT_ONCE = 2  # each stream has a copy of all edges

# Not in the OpenAPI document, which only describes answers of one JSON value.
router = APIRouter(include_in_schema=False)


@router.get("/graph", dependencies=[READ])
async def get_graph(served: Served) -> Response:
    """Streams all nodes and edges of one version, see docs/reference/http.md."""
    engine = served.slot.engine
    view = engine.state.graph
    content = pieces(served.executor, lines_if_whole(graph_lines(view), engine.writer.originals))
    headers = {VERSION_HEADER: str(view.version.number)}
    return Stream(served.streams, MOST_AT_ONCE, content, headers, MEDIA_TYPE)


def lines_if_whole(lines: Iterator[bytes], originals: Originals) -> Iterator[bytes]:
    """Yields the lines, and the last one only if no mapped file was overwritten meanwhile.

    Raises:
        NotReadyError: a file was overwritten.
    """
    last = b""
    for piece in lines:
        yield last
        last = piece
    originals.check_graph()
    yield last


async def pieces(executor: SerialExecutor, lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yields some lines at a time, made off the event loop while they are sent."""
    while (piece := await executor.run(next, lines, None)) is not None:
        if piece:
            yield piece
