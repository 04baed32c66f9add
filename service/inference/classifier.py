"""Classify requests: look-ups at once, unseen nodes in batches, hard ones by the teacher."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.aside import Aside
from service.errors import InvalidFieldError
from service.inference.batcher import Batched, Batcher
from service.inference.current import Slot
from service.inference.embedding_cache import EmbeddingCache
from service.messages import (
    ClassifyResponse,
    LabelScore,
    Node,
    Prediction,
    Route,
    error_detail,
    told,
)
from service.teacher.asking import Asking
from service.teacher.teacher import TeacherAnswer
from service.telemetry.metrics import Metrics
from understudy.bundle import Manifest
from understudy.engine.engine import Engine
from understudy.engine.errors import NodeError
from understudy.engine.predictions import SCORE_DECIMALS
from understudy.engine.requests import Resolution
from understudy.engine.student import Inference


@dataclass(frozen=True, slots=True)
class Plan:
    """A request, checked and looked up."""

    engine: Engine
    nodes: tuple[Node, ...]
    top_k: int
    route: Route
    resolution: Resolution
    large: bool = False  # its answer is put together off the event loop

    @property
    def immediate(self) -> bool:
        """Whether every node is stored or bad, so that there is nothing to wait for."""
        return self.route == "student" and not self.resolution.unseen


@dataclass(frozen=True, slots=True)
class Classified:
    """The predictions of a request, and what its unseen nodes took."""

    predictions: list[Prediction]
    batched: Batched | None = None


class Classifier:
    """Answers requests; inference never runs on the event loop."""

    def __init__(
        self,
        slot: Slot,
        batcher: Batcher,
        metrics: Metrics,
        embeddings: EmbeddingCache | None = None,
        asking: Asking | None = None,
        threshold: float | None = None,
        aside: Aside | None = None,
    ) -> None:
        """Assembles a classifier.

        Args:
            aside: where large requests are looked up and put together.
            asking: how the teacher is asked, where there is one.
            threshold: score from which the student's answer counts as sure; None takes the
                bundle's.
        """
        self.slot = slot
        self.batcher = batcher
        self.metrics = metrics
        self.embeddings = embeddings
        self.asking = asking
        self.threshold = threshold
        self.aside = aside or Aside()

    def plan(
        self, nodes: tuple[Node, ...], top_k: int, route: Route = "student", large: bool = False
    ) -> Plan:
        """Checks a request and looks its nodes up.

        Args:
            large: whether this is called off the event loop, as all that follows is to be.

        Raises:
            InvalidFieldError: more nodes or labels than allowed, or a route that is not there.
        """
        engine = self.slot.engine
        limits = engine.limits
        if len(nodes) > limits.nodes:
            raise InvalidFieldError("nodes", f"at most {limits.nodes:,} nodes a request")
        if top_k > limits.top_k:
            raise InvalidFieldError("top_k", f"at most {limits.top_k}")
        if route != "student":
            self.check_route(engine.manifest, route)
        return Plan(engine, nodes, top_k, route, engine.resolve(nodes), large)

    def check_route(self, manifest: Manifest, route: Route) -> None:
        if self.asking is None:
            raise InvalidFieldError("route", "this service has no teacher; see --teacher-url")
        if route == "auto" and self.threshold_of(manifest) is None:
            raise InvalidFieldError(
                "route", "the bundle tells no threshold for auto; set --auto-threshold"
            )

    def threshold_of(self, manifest: Manifest) -> float | None:
        return self.threshold if self.threshold is not None else manifest.calibration.threshold

    def look_up(self, plan: Plan) -> Classified:
        """Answers a plan that is immediate."""
        self.metrics.predictions.add("student", amount=len(plan.resolution.stored_rows))
        return Classified(student_predictions(plan, None))

    async def answer(self, plan: Plan) -> Classified:
        """Answers any plan by its route.

        Raises:
            OverloadedError, NotReadyError, InferenceError: see `Batcher.infer`.
        """
        if plan.route == "teacher":
            predictions, _ = await self.taught(plan)
            return Classified(predictions)
        classified = await self.studied(plan)
        if plan.route == "auto":
            return Classified(await self.refined(plan, classified), classified.batched)
        return classified

    async def studied(self, plan: Plan) -> Classified:
        """The student's answers."""
        resolution, batched = plan.resolution, None
        if resolution.unseen:
            if self.embeddings is not None:
                await self.embeddings.prepare(plan.engine, resolution.unseen)
            batched = await self.batcher.infer(plan.engine, resolution)
            if self.embeddings is not None:
                await self.embeddings.publish(plan.engine)
        self.metrics.predictions.add("student", amount=len(resolution.positions))
        inference = batched.inference if batched else None
        if plan.large:
            return Classified(await self.aside.run(student_predictions, plan, inference), batched)
        return Classified(student_predictions(plan, inference), batched)

    async def taught(self, plan: Plan) -> tuple[list[Prediction], dict[int, float]]:
        """The teacher's answers, or its error where it fails, and the milliseconds of each."""
        assert self.asking is not None
        answers = await self.asking.ask(plan.resolution, plan.engine)
        good = {p: a.milliseconds for p, a in answers.items() if isinstance(a, TeacherAnswer)}
        self.metrics.predictions.add("teacher", amount=len(good))
        if plan.large:
            return await self.aside.run(teacher_predictions, plan, answers), good
        return teacher_predictions(plan, answers), good

    async def refined(self, plan: Plan, classified: Classified) -> list[Prediction]:
        """The student's answers where it is sure; else the teacher's, if that has one."""
        threshold = self.threshold_of(plan.engine.manifest)
        assert self.asking is not None
        assert threshold is not None
        predictions = list(classified.predictions)
        unsure = {p.index for p in predictions if p.score is not None and p.score < threshold}
        answers = await self.asking.ask(plan.resolution, plan.engine, unsure)
        for position, answer in answers.items():
            asked = teacher_prediction(position, plan.nodes[position], answer, plan.top_k)
            if asked.error is None:
                predictions[position] = asked
                self.metrics.predictions.add("teacher")
            else:
                own = predictions[position]
                predictions[position] = Prediction(
                    own.index, own.id, own.label, own.score, own.top, teacher_error=asked.error
                )
        return predictions

    def response(self, plan: Plan, predictions: list[Prediction]) -> ClassifyResponse:
        return ClassifyResponse(
            plan.engine.manifest.name,
            plan.engine.model_version,
            plan.resolution.state.version,
            tuple(predictions),
        )


def student_predictions(plan: Plan, inference: Inference | None) -> list[Prediction]:
    """One prediction a node, in the order of the request."""
    answers = plan.engine.predict(plan.nodes, plan.resolution, inference, plan.top_k)
    return [told(answer) for answer in answers]


def teacher_predictions(
    plan: Plan, answers: Mapping[int, TeacherAnswer | NodeError]
) -> list[Prediction]:
    """One prediction a node, in the order of the request."""
    predictions = {
        position: Prediction(position, plan.nodes[position].id, error=error_detail(error))
        for position, error in plan.resolution.errors.items()
    }
    for position, answer in answers.items():
        node = plan.nodes[position]
        predictions[position] = teacher_prediction(position, node, answer, plan.top_k)
    return [predictions[position] for position in range(len(plan.nodes))]


def teacher_prediction(
    position: int, node: Node, answer: TeacherAnswer | NodeError, top_k: int
) -> Prediction:
    """A teacher's answer on the wire; only some teachers tell probabilities."""
    if isinstance(answer, NodeError):
        return Prediction(position, node.id, route="teacher", error=error_detail(answer))
    scores = answer.opinion.scores
    if scores is None:
        top: tuple[LabelScore, ...] = ()
        score = None
    else:
        best = sorted(scores.items(), key=lambda item: -item[1])[:top_k]
        top = tuple(LabelScore(label, round(value, SCORE_DECIMALS)) for label, value in best)
        score = round(scores[answer.opinion.label], SCORE_DECIMALS)
    return Prediction(position, node.id, answer.opinion.label, score, top, "teacher", answer.cached)
