"""A queued batch of changes, and its outcome."""

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
    """The outcome of a batch that is durable and visible.

    Attributes:
        version: of the graph, the first one that includes the batch.
        repeated: whether it was applied before under the same key, and nothing was done now.
        changed: False if the graph already was as requested, so that there is no version for it;
            always True for a batch with a key, which the log has to keep.
    """

    version: int
    repeated: bool = False
    changed: bool = True


@dataclass(slots=True)
class Ticket:
    """A queued batch.

    Attributes:
        applied: the outcome, valid once the log has the batches of its group.
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
            f"an idempotency key must have 1 to {KEY_CHARACTERS} printable characters"
        )


def failure_of(error: EngineError | JournalError) -> EngineError:
    """Converts an error to one of this room for a caller, without the frames it passed through."""
    failure: EngineError
    if isinstance(error, JournalError):
        failure = FAILURES.get(type(error), JournalFailedError)(str(error))
    else:
        failure = error
    failure.__cause__ = error.__cause__
    return failure.with_traceback(None)


def refusal(error: MutationError) -> EngineError:
    kind = MutationTargetError if isinstance(error, UnknownItemError) else MutationRefusedError
    return kind(error.problem, error.position, error.field)
