"""The routes that classify; the first of them also straight on ASGI."""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI
from starlette.types import Receive, Scope, Send

from service.http.access import Role
from service.http.exchange import SCOPE_KEY, Exchange, JsonBody, Told
from service.inference.batcher import Batched
from service.messages import (
    ClassifyRequest,
    ClassifyResponse,
    CompareRequest,
    CompareResponse,
    Node,
    told,
)
from service.parts import Parts
from service.routes.dependencies import READ, Served, Timed
from service.routes.structs import Examples, StructRoute
from understudy.engine.engine import Engine

CLASSIFY_DESCRIPTION = """
A node is either `{"id"}`, a stored one, or `{"text", "neighbors"}`, an unseen one. Messages flow
from the stored neighbors into the unseen node and not back; nothing is stored.

A node that cannot be answered has its `error` set while the others are answered, and the status is
200. If none can be answered, the status is the first one's, with the error body.

Headers: `x-queue-time`, `x-encode-time` and `x-inference-time`, the milliseconds that unseen nodes
took.
"""
TEACHER_DESCRIPTION = "The same as `/classify` with the route `teacher`; `route` is not read."
COMPARE_DESCRIPTION = """
Asks the student about all nodes, then the teacher, so that neither slows the other down. A cached
answer of the teacher says so.
"""
ERRORS: dict[int | str, dict[str, str]] = {s: {} for s in (404, 422, 424, 429, 503, 504)}
NO_TIMES = (
    (b"x-queue-time", b"0.000"),
    (b"x-encode-time", b"0.000"),
    (b"x-inference-time", b"0.000"),
)
CLASSIFY_BODY = JsonBody(ClassifyRequest)

Asked = Annotated[ClassifyRequest, Depends(CLASSIFY_BODY)]
Compared = Annotated[CompareRequest, Depends(JsonBody(CompareRequest))]

router = APIRouter(
    tags=["classification"], route_class=StructRoute, dependencies=[READ], responses=ERRORS
)


@router.post(
    "/classify",
    summary="Classify nodes",
    description=CLASSIFY_DESCRIPTION.strip(),
    response_model=ClassifyResponse,
)
async def classify(asked: Asked, exchange: Timed, served: Served) -> Told:
    answer = await served.classifier.classify(exchange, asked.nodes, asked.top_k, asked.route)
    return Told(answer.response(), times(answer.inference))


@router.post(
    "/classify/teacher",
    summary="Classify nodes by the teacher",
    description=TEACHER_DESCRIPTION,
    response_model=ClassifyResponse,
)
async def classify_teacher(asked: Asked, exchange: Timed, served: Served) -> Told:
    answer = await served.classifier.classify(exchange, asked.nodes, asked.top_k, "teacher")
    return Told(answer.response(), NO_TIMES)


@router.post(
    "/compare",
    summary="Ask the student and the teacher",
    description=COMPARE_DESCRIPTION.strip(),
)
async def compare(asked: Compared, exchange: Timed, served: Served) -> CompareResponse:
    return await served.classifier.compare(exchange, asked.nodes, asked.top_k)


class DirectClassify:
    """`POST /classify` without the router and what surrounds it, which cost more than a look-up."""

    def __init__(self, app: FastAPI, parts: Parts) -> None:
        self.app = app
        self.parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[SCOPE_KEY]
        parts = self.parts
        await parts.access.check(Role.read, scope, exchange)
        exchange.operation = "classify"
        scope["app"] = self.app
        asked = await CLASSIFY_BODY.take(exchange, receive, parts.aside)
        answer = await classify(asked, exchange, parts)
        await answer(scope, receive, send)


def times(batched: Batched | None) -> tuple[tuple[bytes, bytes], ...]:
    if batched is None:
        return NO_TIMES
    return (
        (b"x-queue-time", b"%.3f" % batched.queue_ms),
        (b"x-encode-time", b"%.3f" % batched.encode_ms),
        (b"x-inference-time", b"%.3f" % batched.inference_ms),
    )


def examples(parts: Parts) -> dict[str, Examples]:
    """A request about nodes that are there, and its answer; runs a network."""
    engine = parts.slot.engine
    request = example_request(engine)
    version = engine.state.version
    predictions = tuple(told(found) for found in engine.classify(request.nodes, request.top_k))
    response = ClassifyResponse(engine.manifest.name, engine.model_version, version, predictions)
    return {
        "classify": Examples(request, response),
        "classify_teacher": Examples(request),
        "compare": Examples(CompareRequest(nodes=request.nodes)),
    }


def example_request(engine: Engine) -> ClassifyRequest:
    """A stored node, if there is one, and an unseen one beside it."""
    view = engine.state.graph
    first = tuple(view.id(row) for row in view.live_rows()[:1].tolist())
    unseen = Node(text="a fast JSON parser", neighbors=first)
    return ClassifyRequest(nodes=(*(Node(id=name) for name in first), unseen), top_k=3)
