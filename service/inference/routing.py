"""The route `auto`, and the teacher's answers as predictions."""

import asyncio
from dataclasses import dataclass

from service.errors import TeacherError
from service.http.bodies import SerialExecutor
from service.inference.batcher import Batched
from service.inference.deadlines import spared
from service.inference.job import ClassifyJob
from service.messages import AnsweredBy, Node, Prediction, error_detail
from service.teacher.measured import IdentityCheck
from service.teacher.teacher import TeacherAnswer
from understudy.bundle import Manifest
from understudy.engine.engine import Engine
from understudy.engine.errors import NodeError
from understudy.engine.requests import (
    SCORE_DECIMALS,
    LabelScore,
    Resolution,
    best_labels,
    joined_logits,
)
from understudy.engine.student import Inference

CONFIDENCE, AGREEMENT = "confidence", "agreement"  # signals
OLD_BUNDLE = (
    "auto never defers: the bundle was made by a release that did not measure what deferring "
    "brings; distil and export again, or set --auto-threshold"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of deferral; a threshold of None defers nothing."""

    signal: str
    threshold: float | None
    summary: str  # in words


def rule_of(manifest: Manifest, threshold: float | None) -> Rule:
    """Returns the bundle's rule, or one with a given threshold of the student's score."""
    if threshold is not None:
        words = f"auto defers where confidence is below {threshold:g}, as --auto-threshold says"
        return Rule(CONFIDENCE, threshold, words)
    deferral = manifest.calibration.deferral
    if deferral is None:
        return Rule(CONFIDENCE, None, OLD_BUNDLE)
    if deferral.signal not in (CONFIDENCE, AGREEMENT):
        words = f"auto never defers: this release does not know the signal {deferral.signal!r}"
        return Rule(CONFIDENCE, None, words)
    return Rule(deferral.signal, deferral.threshold, deferral.summary)


def unsure_nodes(
    rule: Rule,
    engine: Engine,
    resolution: Resolution,
    inference: Inference | None,
) -> set[int]:
    """Finds the positions of the nodes that the teacher is asked about."""
    if rule.threshold is None or not resolution.positions:
        return set()
    if rule.signal == AGREEMENT:
        values = engine.agreements(resolution, inference).tolist()
    else:  # not the scores of the predictions: those are rounded
        logits = joined_logits(resolution, inference)
        values = best_labels(logits, engine.manifest.calibration.temperature, 1)[1][:, 0].tolist()
    pairs = zip(resolution.positions, values, strict=True)
    return {position for position, value in pairs if value < rule.threshold}


class AutoRoute:
    """Which of the student's answers `auto` replaces by the teacher's, and whether it may.

    Args:
        executor: thread for measuring agreement with neighbours, of which a hub has many.
        threshold: lowest score at which the student's answer counts as sure; None: the bundle's
            rule.
        identity_check: verifies, before the teacher is asked, that it is the measured one; None
            accepts any.
    """

    def __init__(
        self,
        executor: SerialExecutor,
        threshold: float | None = None,
        identity_check: IdentityCheck | None = None,
    ) -> None:
        self.executor = executor
        self.threshold = threshold
        self.identity_check = identity_check

    def rule(self, manifest: Manifest) -> Rule:
        """Returns the rule for a bundle."""
        return rule_of(manifest, self.threshold)

    async def unsure(self, job: ClassifyJob) -> set[int]:
        """Finds the positions of the nodes to ask the teacher about, once the student answered."""
        rule = self.rule(job.engine.manifest)
        answered = job.engine, job.resolution, job.inference
        if rule.signal == CONFIDENCE:
            return unsure_nodes(rule, *answered)
        return await self.executor.run(unsure_nodes, rule, *answered)

    async def identity(self, manifest: Manifest) -> str:
        """Returns the identity that the teacher reports; empty if it is not checked."""
        return await self.identity_check.identified(manifest) if self.identity_check else ""

    async def refusal(self, manifest: Manifest) -> NodeError | None:
        """Explains why the current teacher may not be asked; None if it may."""
        if self.identity_check is None:
            return None
        try:
            async with asyncio.timeout(spared()):
                return await self.identity_check.refusal(manifest)
        except TimeoutError:
            return TeacherError("the teacher did not identify itself in time")


def computing_ms(inference: Batched | None) -> float:
    """Returns the student's computing time; 0 for look-ups."""
    return round(inference.computing_ms, 3) if inference else 0.0


def auto_answer(student: Prediction, teacher: Prediction, unsure: bool) -> AnsweredBy | None:
    """Returns the model whose answer the route auto takes."""
    if student.error is not None:
        return None
    return "teacher" if unsure and teacher.error is None else "student"


def teacher_prediction(
    position: int, node: Node, answer: TeacherAnswer | NodeError, top_k: int
) -> Prediction:
    """Makes a prediction of a teacher's answer; only some teachers give probabilities."""
    if isinstance(answer, NodeError):
        return Prediction(position, node.id, route="teacher", error=error_detail(answer))
    own, scores = answer.opinion.label, answer.opinion.scores
    if scores is None:
        top: tuple[LabelScore, ...] = ()
        score = None
    else:
        # The answer comes before other labels of equal probability.
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0] != own))[:top_k]
        top = tuple(LabelScore(label, round(value, SCORE_DECIMALS)) for label, value in best)
        score = round(scores[own], SCORE_DECIMALS)
    return Prediction(position, node.id, own, score, top, "teacher", answer.cached)
