"""A classify request under way, between its steps."""

from collections.abc import Mapping

from msgspec import Struct

from service.inference.batcher import Batched
from service.messages import Node, Prediction, Route
from service.teacher.teacher import TeacherAnswer
from understudy.engine.engine import Engine
from understudy.engine.requests import Resolution


class ClassifyJob(Struct):
    """A request that was checked and looked up, with its answer so far.

    Attributes:
        large: whether the answer is assembled off the event loop.
        inference: the inference of the unseen nodes, with its times.
        taught: position of a node → the teacher's answer.
    """

    engine: Engine
    nodes: tuple[Node, ...]
    top_k: int
    route: Route
    resolution: Resolution
    large: bool
    predictions: list[Prediction]
    inference: Batched | None = None
    taught: Mapping[int, TeacherAnswer] | None = None
