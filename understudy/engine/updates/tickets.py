"""A batch of changes on its way to the writer, and what becomes of it."""

from concurrent.futures import Future
from dataclasses import dataclass, field

from understudy.engine.errors import (
    ChangeUnsureError,
    EngineError,
    JournalFailedError,
    LogUnavailableError,
    MutationRefusedError,
    MutationTargetError,
)
from understudy.graph.errors import (
    JournalError,
    LogAwayError,
    LogUnsureError,
    MutationError,
    UnknownItemError,
)
from understudy.graph.log.protocol import Record
from understudy.graph.mutations import Mutation, encode_mutations

KEY_CHARACTERS = 200
FAILURES: dict[type[JournalError], type[JournalFailedError]] = {
    LogAwayError: LogUnavailableError,
    LogUnsureError: ChangeUnsureError,
}


@dataclass(frozen=True, slots=True)
class Applied:
    """A batch that is durable and visible.

    Attributes:
        version: of the graph, in which it first shows.
        repeated: it was applied before, under the same key, and nothing was done now.
        changed: False where the graph was as the batch wants it already, so that there is no
            version of it; never of one with a key, which the log has to keep.
    """

    version: int
    repeated: bool = False
    changed: bool = True


@dataclass(slots=True)
class Ticket:
    """A batch on its way.

    Attributes:
        applied: what the outcome is to be, once the log has the batches of its group.
    """

    mutations: tuple[Mutation, ...]
    key: str | None
    outcome: Future[Applied] = field(default_factory=Future)
    applied: Applied = Applied(0)

    def record(self, number: int) -> Record:
        return Record(number, self.key, encode_mutations(self.mutations))


def check_key(key: str) -> None:
    if not 0 < len(key) <= KEY_CHARACTERS or not key.isprintable():
        raise MutationRefusedError(
            f"an idempotency key has 1 to {KEY_CHARACTERS} printable characters", position=0
        )


def failure_of(error: EngineError | JournalError) -> EngineError:
    """An error as a caller gets it: of this room, and without the frames that it came through."""
    failure: EngineError
    if isinstance(error, JournalError):
        failure = FAILURES.get(type(error), JournalFailedError)(str(error))
    else:
        failure = error
    failure.__cause__ = error.__cause__
    return failure.with_traceback(None)


def refusal(error: MutationError) -> EngineError:
    kind = MutationTargetError if isinstance(error, UnknownItemError) else MutationRefusedError
    return kind(str(error), position=error.position)
