"""The operations that classify."""

from collections.abc import Mapping
from time import perf_counter

from service.aside import LARGE_BYTES, LARGE_ITEMS
from service.errors import NoNodeError
from service.http.access import Role
from service.inference.batcher import Batched
from service.inference.classifier import Classified, Classifier, Plan
from service.inference.deadlines import TIMEOUT_HEADER, attend, seconds_left
from service.messages import (
    ClassifyRequest,
    ClassifyResponse,
    CompareRequest,
    CompareResponse,
    Comparison,
    Node,
    Prediction,
    Route,
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

    def __init__(self, classifier: Classifier, seconds: float) -> None:
        """Wraps a classifier.

        Args:
            seconds: after which a request is given up.
        """
        self.classifier = classifier
        self.seconds = seconds
        self.example, self.example_of = Examples(), ("", -1)

    async def classify(self, call: Call) -> Answer:
        request: ClassifyRequest = call.body
        return await self.answer(call, request.nodes, request.top_k, request.route)

    async def classify_teacher(self, call: Call) -> Answer:
        request: ClassifyRequest = call.body
        return await self.answer(call, request.nodes, request.top_k, "teacher")

    async def answer(self, call: Call, nodes: tuple[Node, ...], top_k: int, route: Route) -> Answer:
        plan, classified = await self.ask(call, nodes, top_k, route)
        response = self.classifier.response(plan, classified.predictions)
        return Answer(response, times(classified.batched))

    async def ask(
        self,
        call: Call,
        nodes: tuple[Node, ...],
        top_k: int,
        route: Route = "student",
        seconds: float | None = None,
    ) -> tuple[Plan, Classified]:
        """Answers nodes, for every protocol alike.

        Args:
            seconds: after which the request is given up, if less than any request gets.

        Raises:
            NoNodeError: not one node can be answered.
            See `Classifier.plan` and `Classifier.answer` for the others.
        """
        if call.size <= LARGE_BYTES and len(nodes) * top_k <= LARGE_ITEMS:
            plan = self.classifier.plan(nodes, top_k, route)
        else:
            plan = await self.large_plan(nodes, top_k, route)
        if plan.immediate and not plan.large:
            classified = self.classifier.look_up(plan)
        else:
            left = seconds_left(call.exchange, min(seconds or self.seconds, self.seconds))
            classified = await attend(self.classifier.answer(plan), call.exchange, left)
        if self.classifier.asking is not None and plan.route == "student":
            self.classifier.asking.shadow(plan.resolution, plan.engine, classified.predictions)
        refuse_if_none_answered(classified.predictions)
        return plan, classified

    async def large_plan(self, nodes: tuple[Node, ...], top_k: int, route: Route) -> Plan:
        """Looks the nodes of a large request up off the event loop."""
        return await self.classifier.aside.run(self.classifier.plan, nodes, top_k, route, True)

    async def compare(self, call: Call) -> Answer:
        request: CompareRequest = call.body
        plan = await self.large_plan(request.nodes, request.top_k, "teacher")
        seconds = seconds_left(call.exchange, self.seconds)
        return await attend(self.both(plan), call.exchange, seconds)

    async def both(self, plan: Plan) -> Answer:
        started = perf_counter()
        classified = await self.classifier.studied(plan)
        student_ms = round(1_000 * (perf_counter() - started), 3)
        taught, milliseconds = await self.classifier.taught(plan)
        refuse_if_none_answered(classified.predictions)
        comparisons = tuple(
            Comparison(
                student.index,
                student,
                teacher,
                None if teacher.label is None else teacher.label == student.label,
                student_ms,
                milliseconds.get(student.index),
            )
            for student, teacher in zip(classified.predictions, taught, strict=True)
        )
        base = self.classifier.response(plan, [])
        return Answer(
            CompareResponse(base.model, base.model_version, base.graph_version, comparisons)
        )

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


def refuse_if_none_answered(predictions: list[Prediction]) -> None:
    """Makes the first node's error the request's, where every node has one.

    Raises:
        NoNodeError: the first node's error.
    """
    first = predictions[0].error
    if first is not None and all(prediction.error is not None for prediction in predictions):
        raise NoNodeError(first.code, first.message, first.details)


def times(batched: Batched | None) -> tuple[tuple[bytes, bytes], ...]:
    if batched is None:
        return NO_TIMES
    return (
        (b"x-queue-time", b"%.3f" % batched.queue_ms),
        (b"x-encode-time", b"%.3f" % batched.inference.encode_ms),
        (b"x-inference-time", b"%.3f" % batched.inference.inference_ms),
    )
