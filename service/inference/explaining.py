"""`explain` of `POST /classify`: adds to the student's answers what they rest on."""

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidFieldError
from service.http.exchange import Exchange
from service.inference.deadlines import attend, seconds_left
from service.messages import ClassifyRequest, Prediction, Route
from understudy.engine.explanations import Omission, explanations, omissions
from understudy.engine.limits import Limits
from understudy.engine.requests import Resolution, joined_logits

if TYPE_CHECKING:  # `classifier` imports this module
    from service.inference.classifier import Classifier, ClassifyJob


async def explained(
    classifier: "Classifier", exchange: Exchange, request: ClassifyRequest
) -> "ClassifyJob":
    """Answers nodes, and explains each answer.

    The variants with a part left out run in the batches of all requests, within the request's time.

    Raises:
        InvalidFieldError: more nodes than can be explained at a time, or the route is not student.
        See `Classifier.classify` and `Batcher.infer` for others.
    """
    check_explained(request, request.route, classifier.slot.engine.limits)
    job = await classifier.classify(exchange, request.nodes, request.top_k, request.route)
    await attend(explain(classifier, job), exchange, seconds_left(exchange, classifier.seconds))
    return job


def check_explained(request: ClassifyRequest, route: Route, limits: Limits) -> None:
    """Refuses requests that cannot be explained.

    Raises:
        InvalidFieldError: see `explained`.
    """
    if not request.explain:
        return
    if route != "student":
        raise InvalidFieldError("explain", "only answers of the route student can be explained")
    if len(request.nodes) > limits.explained_nodes:
        problem = f"at most {limits.explained_nodes:,} nodes per request can be explained"
        raise InvalidFieldError("nodes", problem)


async def explain(classifier: "Classifier", job: "ClassifyJob") -> None:
    """Adds explanations to the predictions of an answered request."""
    left_out, variants = await classifier.executor.run(left_out_of, job)
    lacking = np.empty((0, len(job.engine.manifest.label_names)), np.float32)
    if variants.unseen:
        inference = await classifier.infer(job.engine, variants)
        lacking = inference.logits
    job.predictions = await classifier.executor.run(with_explanations, job, left_out, lacking)


def left_out_of(job: "ClassifyJob") -> tuple[list[Omission], Resolution]:
    """Chooses the parts to leave out of a request's nodes, and makes the variants to run."""
    engine, resolution = job.engine, job.resolution
    left_out = omissions(resolution, engine.limits, engine.manifest.encoder)
    variants = [variant for omission in left_out for variant in omission.variants()]
    return left_out, Resolution(resolution.state, unseen=variants)


def with_explanations(
    job: "ClassifyJob", left_out: list[Omission], lacking: NDArray[np.float32]
) -> list[Prediction]:
    """Adds the explanations to the predictions; refused nodes have none.

    Shapes:
        lacking: float32 [K, classes], of the variants from `left_out_of`
    """
    resolution = job.resolution
    whole = joined_logits(resolution, job.inference)
    found = explanations(job.engine, resolution.state, left_out, whole, lacking)
    predictions = list(job.predictions)
    for position, explanation in zip(resolution.positions, found, strict=True):
        predictions[position] = msgspec.structs.replace(
            predictions[position], explanation=explanation
        )
    return predictions
