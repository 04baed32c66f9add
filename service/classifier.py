"""Classify requests: look-ups at once, unseen nodes on a thread of their own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from service.engine import Engine
from service.errors import InvalidFieldError
from service.messages import ClassifyRequest, ClassifyResponse
from service.student import Inference

Result = TypeVar("Result")


class Classifier:
    """Answers requests with one engine; inference never runs on the event loop."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")

    def close(self) -> None:
        """Waits for what runs; nothing may be asked afterwards."""
        self.worker.shutdown(cancel_futures=True)

    async def run(self, function: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self.worker, function)

    async def classify(self, request: ClassifyRequest) -> tuple[ClassifyResponse, Inference | None]:
        """Answers a request; bad nodes have their `error` set.

        Returns:
            The response, and the inference if there was an unseen node.

        Raises:
            InvalidFieldError: more nodes or labels than allowed.
            InferenceError: the networks gave no usable answer.
        """
        engine, nodes = self.engine, request.nodes
        if len(nodes) > engine.limits.nodes:
            raise InvalidFieldError("nodes", f"at most {engine.limits.nodes:,} nodes a request")
        if request.top_k > engine.limits.top_k:
            raise InvalidFieldError("top_k", f"at most {engine.limits.top_k}")
        resolution = engine.resolve(nodes)
        inference = None
        if resolution.unseen:
            inference = await self.run(lambda: engine.infer(resolution))
        predictions = engine.predict(nodes, resolution, inference, request.top_k)
        response = ClassifyResponse(
            engine.manifest.name,
            engine.model_version,
            resolution.state.version,
            tuple(predictions),
        )
        return response, inference
