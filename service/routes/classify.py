"""The operations that classify."""

from collections.abc import Mapping

from service.http.access import Role
from service.inference.batcher import Batched
from service.inference.classifier import Classifier
from service.inference.deadlines import TIMEOUT_HEADER
from service.messages import (
    ClassifyRequest,
    ClassifyResponse,
    CompareRequest,
    CompareResponse,
    Node,
    told,
)
from service.routes.operations import Answer, Call, Examples, Operation
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
ERRORS = (404, 422, 424, 429, 503, 504)
HEADERS: Mapping[str, str] = {
    TIMEOUT_HEADER.decode(): "Seconds after which the answer is not wanted any more."
}
NO_TIMES = (
    (b"x-queue-time", b"0.000"),
    (b"x-encode-time", b"0.000"),
    (b"x-inference-time", b"0.000"),
)


class Classification:
    """Handles the requests; `classifier` knows the answers."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.example, self.example_of = Examples(), ("", -1)

    async def classify(self, call: Call) -> Answer:
        request: ClassifyRequest = call.body
        answer = await self.classifier.classify(
            call.exchange, request.nodes, request.top_k, request.route
        )
        return Answer(answer.response(), times(answer.inference))

    async def classify_teacher(self, call: Call) -> Answer:
        request: ClassifyRequest = call.body
        answer = await self.classifier.classify(
            call.exchange, request.nodes, request.top_k, "teacher"
        )
        return Answer(answer.response(), NO_TIMES)

    async def compare(self, call: Call) -> Answer:
        request: CompareRequest = call.body
        return Answer(await self.classifier.compare(call.exchange, request.nodes, request.top_k))

    def operations(self) -> list[Operation]:
        """The three routes."""
        return [
            Operation(
                name="classify",
                method="POST",
                path="/classify",
                role=Role.read,
                tag="classification",
                summary="Classify nodes",
                description=CLASSIFY_DESCRIPTION.strip(),
                handle=self.classify,
                request=ClassifyRequest,
                response=ClassifyResponse,
                statuses=ERRORS,
                headers=HEADERS,
                examples=self.classify_examples,
            ),
            Operation(
                name="classify_teacher",
                method="POST",
                path="/classify/teacher",
                role=Role.read,
                tag="classification",
                summary="Classify nodes by the teacher",
                description=TEACHER_DESCRIPTION,
                handle=self.classify_teacher,
                request=ClassifyRequest,
                response=ClassifyResponse,
                statuses=ERRORS,
                headers=HEADERS,
                examples=lambda: Examples(example_request(self.classifier.slot.engine)),
            ),
            Operation(
                name="compare",
                method="POST",
                path="/compare",
                role=Role.read,
                tag="classification",
                summary="Ask the student and the teacher",
                description=COMPARE_DESCRIPTION.strip(),
                handle=self.compare,
                request=CompareRequest,
                response=CompareResponse,
                statuses=ERRORS,
                headers=HEADERS,
                examples=lambda: Examples(
                    CompareRequest(nodes=example_request(self.classifier.slot.engine).nodes)
                ),
            ),
        ]

    def classify_examples(self) -> Examples:
        """A request about nodes that are there, and its answer.

        Runs a network, once for each version of the graph: to be called off the event loop.
        """
        engine = self.classifier.slot.engine
        served = engine.model_version, engine.state.version
        if served != self.example_of:
            request = example_request(engine)
            predictions = tuple(
                told(found) for found in engine.classify(request.nodes, request.top_k)
            )
            response = ClassifyResponse(engine.manifest.name, *served, predictions)
            self.example_of, self.example = served, Examples(request, response)
        return self.example


def example_request(engine: Engine) -> ClassifyRequest:
    """A stored node, if there is one, and an unseen one beside it."""
    view = engine.state.graph
    first = tuple(view.id(row) for row in view.live_rows()[:1].tolist())
    unseen = Node(text="a fast JSON parser", neighbors=first)
    return ClassifyRequest(nodes=(*(Node(id=name) for name in first), unseen), top_k=3)


def times(batched: Batched | None) -> tuple[tuple[bytes, bytes], ...]:
    if batched is None:
        return NO_TIMES
    return (
        (b"x-queue-time", b"%.3f" % batched.queue_ms),
        (b"x-encode-time", b"%.3f" % batched.encode_ms),
        (b"x-inference-time", b"%.3f" % batched.inference_ms),
    )
