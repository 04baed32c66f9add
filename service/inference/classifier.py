"""Answers classify requests: look-ups at once, unseen nodes in batches, hard ones by teacher."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import structs

from service.errors import InvalidFieldError, NoNodeError
from service.http.bodies import LARGE_BYTES, LARGE_ITEMS, SerialExecutor
from service.http.exchange import EncodedResponse, Exchange
from service.inference.at_once import infer_at_once, runs_at_once
from service.inference.batcher import Batched, Batcher
from service.inference.current import Slot
from service.inference.deadlines import attend, seconds_left, spared
from service.inference.embedding_cache import EmbeddingCache
from service.inference.explaining import check_explained, explain
from service.inference.job import ClassifyJob
from service.inference.routing import AutoRoute, teacher_prediction
from service.messages import (
    STUDENTS,
    AnsweredBy,
    ClassifyRequest,
    ClassifyResponse,
    Node,
    Prediction,
    Route,
    refused,
)
from service.teacher.asking import Asking
from service.teacher.teacher import TeacherAnswer
from service.telemetry.metrics import Metrics
from understudy.engine.engine import Engine
from understudy.engine.errors import NodeError
from understudy.engine.requests import Resolution

AT_ONCE_SECONDS = 1.0  # of a request's time that must be left for an answer on the event loop
TIMES = (b"x-queue-time", b"x-encode-time", b"x-inference-time")  # milliseconds
NO_TIMES = tuple((name, b"0.000") for name in TIMES)


class TranslatedRequest(Protocol):
    """The same request in another API, which defines the form of its answer."""

    @property
    def nodes(self) -> tuple[Node, ...]: ...

    @property
    def top_k(self) -> int: ...

    @property
    def route(self) -> Route: ...

    def answer_body(self, job: ClassifyJob) -> bytes:
        """Encodes the body of the answer."""


class Classifier:
    """Answers requests; inference runs off the event loop, but for one small node by itself.

    Args:
        executor: thread for looking up and assembling large requests.
        seconds: time limit of a request.
        asking: asks the teacher; None if there is none.
    """

    def __init__(
        self,
        slot: Slot,
        batcher: Batcher,
        metrics: Metrics,
        executor: SerialExecutor,
        auto: AutoRoute,
        embeddings: EmbeddingCache,
        asking: Asking | None,
        seconds: float,
    ) -> None:
        self.slot = slot
        self.batcher = batcher
        self.metrics = metrics
        self.executor = executor
        self.auto = auto
        self.embeddings = embeddings
        self.asking = asking
        self.seconds = seconds

    async def respond(
        self, exchange: Exchange, request: "ClassifyRequest | TranslatedRequest"
    ) -> EncodedResponse:
        """Answers `POST /classify`; raises as `classify` and `explained` do."""
        if isinstance(request, ClassifyRequest) and request.explain:
            return response_of(await self.explained(exchange, request))
        job = await self.classify(exchange, request.nodes, request.top_k, request.route)
        if isinstance(request, ClassifyRequest):
            return response_of(job)
        return EncodedResponse(await self.executor.run(request.answer_body, job))

    async def explained(self, exchange: Exchange, request: ClassifyRequest) -> ClassifyJob:
        """Answers nodes, and explains each answer.

        The variants with a part left out run in the batches of all requests, within the request's
        time.

        Raises:
            InvalidFieldError: see `check_explained`.
            See `classify` and `Batcher.infer` for others.
        """
        check_explained(request, request.route, self.slot.engine.limits)
        job = await self.classify(exchange, request.nodes, request.top_k, request.route)
        left = seconds_left(exchange, self.seconds)
        await attend(explain(job, self.infer, self.executor), exchange, left)
        return job

    async def classify(
        self,
        exchange: Exchange,
        nodes: tuple[Node, ...],
        top_k: int,
        route: Route = "student",
        seconds: float | None = None,
    ) -> ClassifyJob:
        """Answers nodes, for every protocol.

        Args:
            exchange: of the request: its size, its running time, and whether the client waits.
            seconds: time limit, if shorter than the general one.

        Raises:
            NoNodeError: no node can be answered.
            DeadlineError, ClientDisconnect: the time is over, or the client left.
            See `look_up` and `Batcher.infer` for others.
        """
        if exchange.size <= LARGE_BYTES and len(nodes) * top_k <= LARGE_ITEMS:
            job = self.look_up(nodes, top_k, route)
        else:
            job = await self.executor.run(self.look_up, nodes, top_k, route, True)
        if job.large or job.resolution.unseen or route != "student":
            left = seconds_left(exchange, min(seconds or self.seconds, self.seconds))
            if await self.infers_at_once(job, left):
                job.inference = infer_at_once(self.batcher, job.engine, job.resolution)
            else:
                await attend(self.answer(job), exchange, left)
        if not job.predictions:  # there was nothing to wait for
            self.count("student", len(job.resolution.positions))
            job.predictions = student_predictions(job)
        if self.asking is not None and route == "student":
            self.asking.shadow(job.resolution, job.engine, job.predictions)
        refuse_if_none_answered(job.predictions)
        return job

    async def infers_at_once(self, job: ClassifyJob, left: float) -> bool:
        """Whether the student answers at once, although a node is unseen; see `runs_at_once`."""
        if job.large or job.route != "student" or left < AT_ONCE_SECONDS:
            return False
        return await runs_at_once(self.batcher, job.engine, job.resolution)

    def look_up(
        self, nodes: tuple[Node, ...], top_k: int, route: Route = "student", large: bool = False
    ) -> ClassifyJob:
        """Checks a request and looks its nodes up.

        Args:
            large: whether this runs off the event loop, as all later steps then must.

        Raises:
            InvalidFieldError: more nodes or labels than allowed, or an unavailable route.
        """
        engine = self.slot.engine
        limits = engine.limits
        if len(nodes) > limits.nodes:
            raise InvalidFieldError(
                "nodes", f"at most {limits.nodes:,} nodes per request are allowed"
            )
        if top_k > limits.top_k:
            raise InvalidFieldError("top_k", f"at most {limits.top_k} is allowed")
        if route != "student":
            self.check_route()
        return ClassifyJob(engine, nodes, top_k, route, engine.resolve(nodes), large, [])

    def check_route(self) -> None:
        if self.asking is None:
            raise InvalidFieldError("route", "this service has no teacher; see --teacher-url")

    async def answer(self, job: ClassifyJob) -> None:
        """Answers a request by its route."""
        if job.route == "teacher":
            await self.ask_teacher(job)
            return
        await self.ask_student(job)
        taught = await self.refine(job) if job.route == "auto" else 0
        self.count("student", len(job.resolution.positions) - taught)
        self.count("teacher", taught)

    def count(self, route: AnsweredBy, nodes: int) -> None:
        """Counts given answers."""
        if nodes:
            self.metrics.predictions.add(route, amount=nodes)

    async def ask_student(self, job: ClassifyJob) -> None:
        """Sets the student's answers.

        Raises:
            OverloadedError, NotReadyError, InferenceError: see `Batcher.infer`.
        """
        resolution = job.resolution
        if resolution.unseen:
            job.inference = await self.infer(job.engine, resolution)
        if job.large:
            job.predictions = await self.executor.run(student_predictions, job)
        else:
            job.predictions = student_predictions(job)

    async def infer(self, engine: Engine, resolution: Resolution) -> Batched:
        """Runs unseen nodes in the batches of all requests; raises as `Batcher.infer` does."""
        await self.embeddings.prepare(engine, resolution.unseen)
        inference = await self.batcher.infer(engine, resolution)
        await self.embeddings.publish(engine)
        return inference

    async def ask_teacher(self, job: ClassifyJob, seconds: float | None = None) -> None:
        """Sets the teacher's answers, or its error if it fails.

        Args:
            seconds: after which the teacher has failed; None: no limit.
        """
        assert self.asking is not None
        answers = await self.asking.ask(job.resolution, job.engine, seconds=seconds)
        job.taught = {p: a for p, a in answers.items() if isinstance(a, TeacherAnswer)}
        self.count("teacher", len(job.taught))
        if job.large:
            job.predictions = await self.executor.run(teacher_predictions, job, answers)
        else:
            job.predictions = teacher_predictions(job, answers)

    async def refine(self, job: ClassifyJob) -> int:
        """Replaces the student's unsure answers by the teacher's, if it has one.

        Returns:
            The number of answers that are the teacher's.
        """
        assert self.asking is not None
        predictions = job.predictions
        unsure = await self.auto.unsure(job)
        if not unsure:
            return 0
        answers: Mapping[int, TeacherAnswer | NodeError]
        if refusal := await self.auto.refusal(job.engine.manifest):
            answers = dict.fromkeys(unsure, refusal)
        else:
            answers = await self.asking.ask(job.resolution, job.engine, unsure, spared())
        for position, answer in answers.items():
            taught = teacher_prediction(position, job.nodes[position], answer, job.top_k)
            if taught.error is None:
                predictions[position] = taught
            else:
                predictions[position] = structs.replace(
                    predictions[position], teacher_error=taught.error
                )
        return sum(prediction.route == "teacher" for prediction in predictions)


def refuse_if_none_answered(predictions: Sequence[Prediction]) -> None:
    """Raises the first node's error as the request's, if every node has one.

    Raises:
        NoNodeError: the first node's error.
    """
    first = predictions[0].error
    if first is not None and all(prediction.error is not None for prediction in predictions):
        raise NoNodeError(first.code, first.message, first.details)


def response_of(job: ClassifyJob) -> EncodedResponse:
    """Encodes the answer; its headers state the times of unseen nodes."""
    response = ClassifyResponse(
        job.engine.manifest.name,
        job.engine.model_version,
        job.resolution.state.graph.version.number,
        tuple(job.predictions),
    )
    took = job.inference
    if took is None:
        return EncodedResponse(response, NO_TIMES)
    milliseconds = (took.queue_ms, took.encode_ms, took.inference_ms)
    return EncodedResponse(
        response,
        tuple((name, b"%.3f" % ms) for name, ms in zip(TIMES, milliseconds, strict=True)),
    )


def student_predictions(job: ClassifyJob) -> list[Prediction]:
    """Makes the student's predictions, in the order of the request."""
    return job.engine.predict(job.nodes, job.resolution, job.inference, job.top_k, STUDENTS)


def teacher_predictions(
    job: ClassifyJob, answers: Mapping[int, TeacherAnswer | NodeError]
) -> list[Prediction]:
    """Makes the teacher's predictions, in the order of the request."""
    predictions = {
        position: refused(position, job.nodes[position].id, error)
        for position, error in job.resolution.errors.items()
    }
    for position, answer in answers.items():
        node = job.nodes[position]
        predictions[position] = teacher_prediction(position, node, answer, job.top_k)
    return [predictions[position] for position in range(len(job.nodes))]
