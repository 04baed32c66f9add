"""Routes that classify; the first one is also served directly over ASGI."""

from typing import Annotated

from fastapi import APIRouter, Depends

from service.compatible.texts import PredictRequest, TextScore, nodes_of, predicted, read_texts
from service.http.access import Role
from service.http.exchange import EncodedResponse, JsonBody
from service.http.gateway import Direct
from service.http.repeats import OnceBody, look_through
from service.inference.classifier import response_of
from service.inference.comparing import compared
from service.inference.explaining import check_explained
from service.messages import (
    STUDENTS,
    ClassifyRequest,
    ClassifyResponse,
    CompareRequest,
    CompareResponse,
    Node,
)
from service.parts import Parts
from service.routes.dependencies import READ, Served, Timed
from service.routes.queries import NO_QUERY
from service.routes.structs import Examples, Lists, StructRoute
from understudy.engine.engine import Engine

CLASSIFY_DESCRIPTION = """
A node is either stored, given as `{"id"}`, or unseen, given as `{"text", "neighbors"}`. Messages
flow from the stored neighbors into the unseen node and not back; nothing is stored.

If some nodes cannot be answered, the status is 200 and each of them has its `error` set. If no node
can be answered, the status and the error body are those of the first.

With `explain`, each answer of the student also has an explanation: the effect of leaving out each
neighbor and, if texts are hashed, each word.

The headers `x-queue-time`, `x-encode-time` and `x-inference-time` give the milliseconds that unseen
nodes took.

A body of vLLM's `/classify`, `{"input": …}` with one text or several, is recognised by its fields
and answered in vLLM's form, with the probability of every label.
"""
PREDICT_DESCRIPTION = """
The API of text-embeddings-inference: takes a text, or a list of lists of one text each, and answers
with every label and its calibrated probability, best first. A text may be a node as the JSON text
`{"node": …}`. If a node cannot be answered, the whole request fails.
"""
TEACHER_DESCRIPTION = (
    "The same as `/classify` with the route `teacher`; the field `route` is ignored."
)
COMPARE_DESCRIPTION = """
Asks the student about all nodes and then the teacher, so that neither slows the other down. A
teacher's answer from the cache is marked as such.
"""
ERRORS: dict[int | str, dict[str, str]] = {s: {} for s in (404, 422, 424, 429, 503, 504)}
CLASSIFY_BODY = JsonBody(ClassifyRequest, other=read_texts, once=look_through)
COMPARE_BODY = JsonBody(CompareRequest, once=look_through)

ClassifyBody = Annotated[ClassifyRequest, Depends(CLASSIFY_BODY)]
Predicted = Annotated[PredictRequest, Depends(OnceBody(PredictRequest))]
Compared = Annotated[CompareRequest, Depends(COMPARE_BODY)]

router = APIRouter(
    tags=["classification"], route_class=StructRoute, dependencies=[READ], responses=ERRORS
)


@router.post(
    "/classify",
    summary="Classify nodes",
    description=CLASSIFY_DESCRIPTION.strip(),
    response_model=ClassifyResponse,
)
async def classify(request: ClassifyBody, exchange: Timed, served: Served) -> EncodedResponse:
    return await served.classifier.respond(exchange, request)


@router.post(
    "/classify/teacher",
    summary="Classify nodes with the teacher",
    description=TEACHER_DESCRIPTION,
    response_model=ClassifyResponse,
)
async def classify_teacher(
    request: ClassifyBody, exchange: Timed, served: Served
) -> EncodedResponse:
    check_explained(request, "teacher", served.slot.engine.limits)
    answer = await served.classifier.classify(exchange, request.nodes, request.top_k, "teacher")
    return response_of(answer)


@router.post(
    "/predict",
    summary="Classify texts (text-embeddings-inference)",
    description=PREDICT_DESCRIPTION.strip(),
    response_model=Lists(TextScore),
)
async def predict(request: Predicted, exchange: Timed, served: Served) -> EncodedResponse:
    answer = await served.classifier.classify(exchange, nodes_of(request), 1)
    return EncodedResponse(await served.executor.run(predicted, request, answer))


@router.post(
    "/compare",
    summary="Compare the student's answers with the teacher's",
    description=COMPARE_DESCRIPTION.strip(),
)
async def compare(request: Compared, exchange: Timed, served: Served) -> CompareResponse:
    return await compared(served.classifier, exchange, request)


def direct(parts: Parts) -> Direct:
    """Makes the direct route of `/classify`, for the gateway."""
    return Direct(
        classify.__name__,
        Role.read,
        parts.access,
        NO_QUERY.read,
        CLASSIFY_BODY,
        parts.classifier.respond,
        parts.freshness.reach,
    )


def examples(parts: Parts) -> dict[str, Examples]:
    """Makes examples with stored nodes and their answers; runs the networks."""
    engine = parts.slot.engine
    request = example_request(engine)
    version = engine.state.version
    predictions = tuple(engine.classify_as(STUDENTS, request.nodes, request.top_k))
    response = ClassifyResponse(engine.manifest.name, engine.model_version, version, predictions)
    return {
        "classify": Examples(request, response),
        "classify_teacher": Examples(request),
        "compare": Examples(CompareRequest(nodes=request.nodes)),
        "predict": Examples(PredictRequest("a fast JSON parser")),
    }


def example_request(engine: Engine) -> ClassifyRequest:
    """Makes a request of a stored node, if there is one, and an unseen node linked to it."""
    view = engine.state.graph
    first = tuple(view.id(row) for row in view.live_rows()[:1].tolist())
    unseen = Node(text="a fast JSON parser", neighbors=first)
    return ClassifyRequest(nodes=(*(Node(id=name) for name in first), unseen), top_k=3)
