"""Changes of the graph, on their way to the engine's writer."""

import asyncio
from collections.abc import Sequence

from service.errors import InvalidFieldError, OverloadedError
from service.inference.current import Slot
from service.routes.graph_messages import Changed
from service.telemetry.metrics import Metrics
from understudy.graph.mutations import Mutation

MAX_WAITING = 256  # changes; more are refused


class Changes:
    """Bounds how many there are at once."""

    def __init__(self, slot: Slot, max_mutations: int, metrics: Metrics) -> None:
        """Begins.

        Args:
            max_mutations: of one request.
        """
        self.slot = slot
        self.max_mutations = max_mutations
        self.metrics = metrics
        self.waiting = 0

    async def apply(self, mutations: Sequence[Mutation], key: str | None) -> Changed:
        """Hands a change to the engine's writer, which carries out together what waits.

        Args:
            key: under which the same change is made once.

        Raises:
            InvalidFieldError: more mutations than allowed.
            OverloadedError: too many changes wait.
            See `Engine.apply` for the others.
        """
        self.check_number(len(mutations))
        if self.waiting >= MAX_WAITING:
            raise OverloadedError("too many changes of the graph are waiting", 1.0)
        outcome = self.slot.engine.submit(mutations, key)
        self.waiting += 1
        try:
            applied = await asyncio.wrap_future(outcome)
        finally:
            self.waiting -= 1
        self.metrics.mutations.add(amount=0 if applied.repeated else len(mutations))
        return Changed(applied.version, applied.repeated)

    def check_number(self, mutations: int) -> None:
        if mutations > self.max_mutations:
            raise InvalidFieldError("mutations", f"at most {self.max_mutations:,} a request")
