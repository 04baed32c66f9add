"""Answers questions about labels itself, and passes other questions to an upstream server."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Raw, Struct

from service.compatible.choices import Columns, Shares, all_shares
from service.compatible.questions import Questions
from service.compatible.upstream import Reply, Upstream
from service.errors import NoUpstreamError
from service.http.bodies import LARGE_BYTES, Arguments, Result
from service.http.exchange import EncodedResponse, Exchange
from service.inference.classifier import Classifier
from service.inference.deadlines import attend, seconds_left
from service.inference.job import ClassifyJob
from service.messages import Node, encode
from understudy.bundle import Manifest
from understudy.endpoint.naming import label_reader
from understudy.engine.requests import joined_logits

ROUTE_HEADER = b"x-understudy-route"
STUDENT, UPSTREAM, MIXED, REFUSED = b"student", b"upstream", b"mixed", b"refused"
FIELDS = msgspec.json.Decoder(dict[str, Raw])


class WireRequest(Protocol):
    """A decoded request of one API.

    Attributes:
        content: the body as received.
        path: of the same request below an upstream's URL.
        refusable: whether an answer may consist of refusals only.
        reason: why the student cannot answer a request of this form; empty if it can.
    """

    @property
    def content(self) -> bytes: ...

    @property
    def path(self) -> str: ...

    @property
    def questions(self) -> Questions[Any]: ...

    @property
    def refusable(self) -> bool: ...

    @property
    def reason(self) -> str: ...

    def node(self) -> Node | None:
        """Finds the request's node, see `service.compatible.nodes`; None if it has none.

        Raises:
            InvalidFieldError: the node is invalid.
        """

    def select(self, questions: Raw, positions: Sequence[int]) -> Raw:
        """Selects some of the questions, undecoded.

        Args:
            questions: the body's field.
        """

    def answer_body(self, model: str, own: Mapping[int, Shares], reply: bytes | None) -> bytes:
        """Encodes the answer: the student's answers, and for other questions the upstream's.

        Args:
            reply: the upstream's answer to the other questions, in order; None: they are refused.

        Raises:
            UpstreamError: the reply does not answer them.
        """


class StudentAnswers(Struct):
    """What the student answers of a request.

    Attributes:
        model: the bundle's name.
        shares: position of a question → its answer.
    """

    model: str
    shares: Mapping[int, Shares]


class DecisionProxy:
    """Answers the requests of every compatible API.

    Args:
        upstream: asked what the student does not answer.
        defers: whether it is also asked what the route `auto` would not leave to the student.
    """

    def __init__(
        self, classifier: Classifier, upstream: Upstream | None = None, defers: bool = False
    ) -> None:
        self.classifier = classifier
        self.upstream = upstream
        self.defers = defers and upstream is not None
        # Otherwise a predicted label is needed, for deferring or for the teacher's check.
        self.looks_up = not self.defers and classifier.asking is None
        self.count = classifier.metrics.decisions.add

    async def answer(self, exchange: Exchange, request: WireRequest) -> EncodedResponse:
        """Answers a request.

        Raises:
            NoUpstreamError: the student can answer no question, and the API has no refusals.
            See `Classifier.classify`, `Upstream.ask` and `WireRequest` for others.
        """
        large = exchange.size > LARGE_BYTES
        answered = await self.student(exchange, request, large)
        own, total = answered.shares, len(request.questions)
        self.count("student", amount=len(own))
        if len(own) == total:
            return routed_response(
                await self.run(large, request.answer_body, answered.model, own, None), STUDENT
            )
        rest = [position for position in range(total) if position not in own]
        if self.upstream is None:
            if not own and not request.refusable:
                raise NoUpstreamError(request.reason)
            self.count("refused", amount=len(rest))
            answer = await self.run(large, request.answer_body, answered.model, own, None)
            return routed_response(answer, MIXED if own else REFUSED)
        self.count("upstream", amount=len(rest))
        model = self.upstream.options.model
        body = await self.run(large, forwarded, request, rest if own else None, model)
        work = self.upstream.ask(request.path, body)
        reply = await attend(work, exchange, seconds_left(exchange, self.classifier.seconds))
        if not own or reply.status != 200:
            return passed_on(reply)
        return routed_response(
            await self.run(large, request.answer_body, answered.model, own, reply.content), MIXED
        )

    async def student(
        self, exchange: Exchange, request: WireRequest, large: bool
    ) -> StudentAnswers:
        """Gets the student's answers to a request; raises as `answer` does."""
        manifest = self.classifier.slot.engine.manifest
        choices = await self.choices(request, manifest, large)
        node = request.node() if choices else None
        if node is None:
            return StudentAnswers(manifest.name, {})
        classified = await self.classified(exchange, node)
        if classified.engine.manifest is not manifest:  # a reload happened meanwhile
            manifest = classified.engine.manifest
            choices = await self.choices(request, manifest, large)
        if self.defers and await self.classifier.auto.unsure(classified):
            return StudentAnswers(manifest.name, {})
        logits = joined_logits(classified.resolution, classified.inference)[0]
        temperature = manifest.calibration.temperature
        own = await self.run(large, all_shares, logits, temperature, choices)
        return StudentAnswers(manifest.name, own)

    async def classified(self, exchange: Exchange, node: Node) -> ClassifyJob:
        """Looks up or infers the node; raises as `Classifier.classify` does.

        A stored node's label and score are skipped if unneeded; they are a fifth of the cost.
        """
        if self.looks_up and node.text is None:
            job = self.classifier.look_up((node,), 1)
            if job.resolution.stored_rows:
                self.classifier.metrics.predictions.add("student")
                return job
        return await self.classifier.classify(exchange, (node,), 1)

    async def choices(
        self, request: WireRequest, manifest: Manifest, large: bool
    ) -> Mapping[int, Columns]:
        reader = label_reader(manifest.label_names)
        return await self.run(large, request.questions.choices, reader)

    async def run(
        self,
        large: bool,
        function: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Result:
        """Calls a function, off the event loop for a large request."""
        if large:
            return await self.classifier.executor.run(function, *arguments, **options)
        return function(*arguments, **options)

    async def close(self) -> None:
        if self.upstream is not None:
            await self.upstream.close()


def routed_response(content: bytes, route: bytes) -> EncodedResponse:
    return EncodedResponse(content, ((ROUTE_HEADER, route),))


def passed_on(reply: Reply) -> EncodedResponse:
    """Passes on the upstream's answer unchanged."""
    headers: tuple[tuple[bytes, bytes], ...] = ((ROUTE_HEADER, UPSTREAM),)
    if reply.retry_after:
        headers += ((b"retry-after", reply.retry_after),)
    return EncodedResponse(reply.content, headers, reply.kind, reply.status)


def forwarded(request: WireRequest, positions: Sequence[int] | None, model: str) -> bytes:
    """Makes the body for the upstream, unchanged except for what must differ.

    Args:
        positions: of the questions to ask; None: all of them.
        model: replaces the caller's model, unless empty.
    """
    if positions is None and not model:
        return request.content
    fields = FIELDS.decode(request.content)
    if model:
        fields["model"] = Raw(encode(model))
    if positions is not None:
        fields["questions"] = request.select(fields["questions"], positions)
    return encode(fields)
