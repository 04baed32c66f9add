"""Changes of the graph: checked, computed, made durable, and then visible, all at once.

Callers queue up; whoever holds the lock carries out everything that waits as one group: one pass
over the affected nodes, one commit of the journal. Each batch stays all or nothing.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock

from graph.draft import Draft
from graph.errors import JournalError, MutationError, UnknownItemError
from graph.journal import Journal, Record
from graph.materialize import whole_adjacency
from graph.mutations import Mutation, decode_mutations, encode_mutations
from graph.store import GraphStore
from service.errors import (
    InferenceError,
    JournalFailedError,
    KeyReusedError,
    MutationRefusedError,
    MutationTargetError,
    ServiceError,
)
from service.incremental import Incremental
from service.state import GraphState, Tables

GROUP_MUTATIONS = 4_096  # a group takes further batches while it has fewer
KEY_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Applied:
    """A batch that is durable and visible.

    Attributes:
        version: of the graph, in which it first shows.
        repeated: it was applied before, under the same key, and nothing was done now.
    """

    version: int
    repeated: bool = False


@dataclass(slots=True)
class Ticket:
    """A batch on its way."""

    mutations: tuple[Mutation, ...]
    key: str | None
    record: Record = field(init=False)
    applied: Applied | None = None
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.record = Record(0, self.key, encode_mutations(self.mutations))

    @property
    def done(self) -> bool:
        return self.applied is not None or self.error is not None


class Writer:
    """The one writer of a graph, its activations and its journal; safe to share between threads.

    Attributes:
        state: the newest state; replaced as a whole, once a change.
    """

    def __init__(
        self, store: GraphStore, tables: Tables, incremental: Incremental, journal: Journal
    ) -> None:
        self.store = store
        self.tables = tables
        self.incremental = incremental
        self.journal = journal
        self.state = GraphState(store.view, tables)
        self.lock = Lock()
        self.waiting: deque[Ticket] = deque()
        self.noticed: Callable[[], None] = lambda: None  # called before and after every change
        self.interrupted = False
        self.computed_rows = 0  # by all changes so far, of all layers

    def apply(self, mutations: Sequence[Mutation], key: str | None = None) -> Applied:
        """Applies a batch; returns when it is durable and visible.

        Raises:
            MutationRefusedError: an item cannot be done; nothing was.
            KeyReusedError: the key came with another batch before.
            JournalFailedError: the journal cannot be written; nothing was done.
            InferenceError: the networks failed; nothing was done.
        """
        if not mutations:
            raise MutationRefusedError("a batch needs at least one mutation", position=0)
        if key is not None:
            check_key(key)
        if self.interrupted:
            raise JournalFailedError("a change was interrupted; open the engine again")
        ticket = Ticket(tuple(mutations), key)
        self.noticed()
        self.waiting.append(ticket)
        with self.lock:
            while not ticket.done:
                self.carry_out(self.next_group())
        self.noticed()
        if ticket.error is not None:
            raise ticket.error
        assert ticket.applied is not None
        return ticket.applied

    def next_group(self) -> list[Ticket]:
        """Some of what waits, oldest first; a key occurs once in a group."""
        group: list[Ticket] = []
        keys: set[str] = set()
        size = 0
        while self.waiting and size < GROUP_MUTATIONS:
            key = self.waiting[0].key
            if key is not None:
                if key in keys:
                    break
                keys.add(key)
            group.append(self.waiting.popleft())
            size += len(group[-1].mutations)
        return group

    def carry_out(self, group: Sequence[Ticket]) -> None:
        """Gives every ticket its outcome."""
        draft = self.store.draft()
        accepted: list[Ticket] = []
        for ticket in group:
            try:
                if not self.was_known(ticket):
                    draft.apply(ticket.mutations)
                    accepted.append(ticket)
            except MutationError as error:
                ticket.error = refusal(error)
            except ServiceError as error:
                ticket.error = error
            except JournalError as error:
                ticket.error = journal_failed(error)
        if not accepted:
            return
        try:
            self.commit(draft, accepted)
        except (ServiceError, JournalError) as error:
            failure = journal_failed(error) if isinstance(error, JournalError) else error
            for ticket in accepted:
                ticket.error = failure
        except BaseException:
            for ticket in accepted:
                ticket.error = InferenceError("the change was taken back; the log says why")
            raise

    def was_known(self, ticket: Ticket) -> bool:
        """Answers a ticket whose key was seen before."""
        known = None if ticket.key is None else self.journal.find(ticket.key)
        if known is None:
            return False
        if known.digest != ticket.record.digest:
            raise KeyReusedError(str(ticket.key))
        ticket.applied = Applied(known.number, repeated=True)
        return True

    def commit(self, draft: Draft, accepted: Sequence[Ticket]) -> None:
        first = self.store.view.version.number + 1
        records = [
            Record(first + place, ticket.key, ticket.record.payload)
            for place, ticket in enumerate(accepted)
        ]
        self.change(draft, records)
        for record, ticket in zip(records, accepted, strict=True):
            ticket.applied = Applied(record.number)

    def change(
        self,
        draft: Draft,
        records: Sequence[Record],
        write: bool = True,
        settling: bool = False,
    ) -> None:
        """Computes a draft, journals its records, and publishes it; or takes everything back.

        Args:
            write: the records are not in the journal yet.
            settling: see `Incremental.update`.
        """
        undo, old = self.store.begin(), self.store.view
        try:
            view, change = self.store.write(draft, undo, len(records))
            self.computed_rows += self.incremental.update(old, view, change, undo, settling)
            if write:
                self.journal.append(records)
        except BaseException as error:
            # After a Ctrl-C nobody knows whether the journal has the records.
            self.interrupted = not isinstance(error, Exception)
            self.store.abandon()
            self.incremental.forget()
            self.state = GraphState(self.store.view, self.tables)
            raise
        self.incremental.keep()
        self.store.publish(view, draft, change)
        self.state = GraphState(view, self.tables)

    def replay(self, records: Sequence[Record]) -> None:
        """Applies what the journal holds, in one pass, without journalling it again.

        Raises:
            JournalFailedError: a record does not fit the graph.
        """
        if not records:
            return
        draft = self.store.draft()
        for record in records:
            try:
                draft.apply(decode_mutations(record.payload), acknowledged=True)
            except (MutationError, JournalError) as error:
                raise JournalFailedError(
                    f"record {record.number} of the journal does not fit the graph: {error}"
                ) from error
        self.change(draft, records, write=False)

    def settle(self, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Brings every activation up to the last digit, see `Incremental`; changes no version.

        Args:
            interrupted: whether to leave the rest for later, asked between pieces.
        """
        while self.incremental.owes and not interrupted():
            with self.lock:  # let go between pieces, so that changes need not wait for all
                self.change(self.store.draft(), (), write=False, settling=True)

    def compact(self) -> None:
        """Folds the changed neighbour lists into one array; others read and write meanwhile."""
        with self.lock:
            view = self.store.view
        adjacency = whole_adjacency(view)
        with self.lock:
            self.store.adopt(view, adjacency)
            self.state = GraphState(self.store.view, self.tables)

    def truncate(self, number: int, snapshot: str) -> None:
        """Lets the journal begin after a snapshot.

        Raises:
            JournalError: it goes on as before.
        """
        with self.lock:
            self.journal.truncate(number, snapshot)

    def close(self) -> None:
        """Waits for the change that runs, and closes the journal."""
        with self.lock:
            self.journal.close()


def check_key(key: str) -> None:
    if not 0 < len(key) <= KEY_CHARACTERS or not key.isprintable():
        raise MutationRefusedError(
            f"an idempotency key has 1 to {KEY_CHARACTERS} printable characters", position=0
        )


def journal_failed(error: Exception) -> JournalFailedError:
    failure = JournalFailedError(str(error))
    failure.__cause__ = error
    return failure


def refusal(error: MutationError) -> ServiceError:
    kind = MutationTargetError if isinstance(error, UnknownItemError) else MutationRefusedError
    return kind(str(error), position=error.position)
