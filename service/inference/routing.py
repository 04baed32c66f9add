"""The rule of `route: auto`, and the teacher's answers and their costs."""

from dataclasses import dataclass

from service.inference.batcher import Batched
from service.messages import AnsweredBy, Cost, Node, Prediction, error_detail
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
from understudy.graph.prompts import CHARACTERS_PER_TOKEN, Prompt

CONFIDENCE, AGREEMENT = "confidence", "agreement"  # signals
OLD_BUNDLE = (
    "auto never defers: the bundle was made by a release that did not measure what deferring "
    "brings; distil and export again, or set --auto-threshold"
)
MILLION = 1_000_000


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


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of a million tokens, in any currency; 0 if not given."""

    input: float = 0.0
    output: float = 0.0


def question_cost(prompt: Prompt, label: str, free: bool, prices: Prices) -> Cost:
    """Estimates the cost of one question, with tokens from characters; 0 if it was free.

    The service does not have the teacher's tokenizer.
    """
    if free:
        return Cost(input_tokens=0, output_tokens=0, money=0.0 if priced(prices) else None)
    read = -(-len(prompt.text) // CHARACTERS_PER_TOKEN)
    written = -(-len(label) // CHARACTERS_PER_TOKEN)
    money = (read * prices.input + written * prices.output) / MILLION
    return Cost(None, read, written, money if priced(prices) else None)


def priced(prices: Prices) -> bool:
    return prices.input > 0 or prices.output > 0


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
