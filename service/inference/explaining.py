"""`explain` of `POST /classify`: adds to the student's answers what they rest on."""

from collections.abc import Awaitable, Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidFieldError
from service.http.bodies import SerialExecutor
from service.inference.batcher import Batched
from service.inference.job import ClassifyJob
from service.messages import ClassifyRequest, Prediction, Route
from understudy.engine.engine import Engine
from understudy.engine.explanations import Omission, explanations, omissions
from understudy.engine.limits import Limits
from understudy.engine.requests import Resolution, joined_logits

Infer = Callable[[Engine, Resolution], Awaitable[Batched]]


def check_explained(request: ClassifyRequest, route: Route, limits: Limits) -> None:
    """Refuses requests that cannot be explained.

    Raises:
        InvalidFieldError: more nodes than can be explained at a time, or the route is not student.
    """
    if not request.explain:
        return
    if route != "student":
        raise InvalidFieldError("explain", "only answers of the route student can be explained")
    if len(request.nodes) > limits.explained_nodes:
        problem = f"at most {limits.explained_nodes:,} nodes per request can be explained"
        raise InvalidFieldError("nodes", problem)


async def explain(job: ClassifyJob, infer: Infer, executor: SerialExecutor) -> None:
    """Adds explanations to the predictions of an answered request.

    Args:
        infer: runs the variants of its nodes from which a part is left out.
    """
    left_out, variants = await executor.run(left_out_of, job)
    lacking = np.empty((0, len(job.engine.manifest.label_names)), np.float32)
    if variants.unseen:
        inference = await infer(job.engine, variants)
        lacking = inference.logits
    job.predictions = await executor.run(with_explanations, job, left_out, lacking)


def left_out_of(job: ClassifyJob) -> tuple[list[Omission], Resolution]:
    """Chooses the parts to leave out of a request's nodes, and makes the variants to run."""
    engine, resolution = job.engine, job.resolution
    left_out = omissions(resolution, engine.limits, engine.manifest.encoder)
    variants = [variant for omission in left_out for variant in omission.variants()]
    return left_out, Resolution(resolution.state, unseen=variants)


def with_explanations(
    job: ClassifyJob, left_out: list[Omission], lacking: NDArray[np.float32]
) -> list[Prediction]:
    """Adds the explanations to the predictions; refused nodes have none.

    Shapes:
        lacking: float32 [K, classes], of the variants from `left_out_of`
    """
    resolution = job.resolution
    whole = joined_logits(resolution, job.inference)
    explained = explanations(job.engine, resolution.state, left_out, whole, lacking)
    predictions = list(job.predictions)
    for position, explanation in zip(resolution.positions, explained, strict=True):
        predictions[position] = msgspec.structs.replace(
            predictions[position], explanation=explanation
        )
    return predictions
