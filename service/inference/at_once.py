"""Answers a single small node on the event loop, where no other request waits.

To hand a node to the inference thread and its row back takes half as long as a node without a
transformer itself. Requests that come together are run as a batch instead, which takes less time
than one after the other.
"""

from service.inference.batcher import Batched, Batcher, token_cost
from understudy.engine.engine import Engine
from understudy.engine.inputs import HashedInput
from understudy.engine.requests import Resolution

# At most. On a slow core a usual text takes about a millisecond, and a thousand characters of words
# that were never read before, with as many neighbours, take six.
CHARACTERS, NEIGHBORS = 1_000, 64


async def runs_at_once(batcher: Batcher, engine: Engine, resolution: Resolution) -> bool:
    """Whether a request's unseen nodes are one small node, and nothing else waits or runs."""
    if len(resolution.unseen) != 1 or not isinstance(engine.student.text_input, HashedInput):
        return False
    (node,) = resolution.unseen
    if len(node.text) > CHARACTERS or len(node.neighbors) > NEIGHBORS:
        return False
    return await batcher.arrivals.alone() and batcher.is_idle()


def infer_at_once(batcher: Batcher, engine: Engine, resolution: Resolution) -> Batched:
    """Runs the nodes of a request; see `runs_at_once`.

    Raises:
        InferenceError: the networks gave no usable answer.
    """
    try:
        inference = engine.infer(resolution)
    except Exception:
        batcher.on_failure()
        raise
    batcher.metrics.queue_seconds.observe(0.0)
    tokens = sum(token_cost(node, engine.manifest.encoder) for node in resolution.unseen)
    batcher.count(len(resolution.unseen), tokens, inference)
    took = inference.encode_ms, inference.inference_ms
    return Batched(inference.logits, inference.hidden, *took, queue_ms=0.0, computing_ms=sum(took))
