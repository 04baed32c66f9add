"""Changes of the graph: checked, computed, made durable, and then visible, all at once.

Callers queue up; whoever holds the lock carries out everything that waits as one group: one pass
over the affected nodes, one commit of the journal. Each batch stays all or nothing. Who waits on
an event loop has the writer's own thread do it, so that as many batches can wait as are sent.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from understudy.engine.errors import (
    EngineError,
    InferenceError,
    JournalFailedError,
    KeyReusedError,
    MutationRefusedError,
    NotReadyError,
)
from understudy.engine.state import GraphState, Tables
from understudy.engine.updates.affected import Incremental
from understudy.engine.updates.tickets import Applied, Ticket, check_key, failure_of, refusal
from understudy.graph.draft import Draft
from understudy.graph.errors import JournalError, MutationError
from understudy.graph.journal import Journal, Record
from understudy.graph.materialize import whole_adjacency
from understudy.graph.mutations import Mutation, decode_mutations
from understudy.graph.store import GraphStore

logger = logging.getLogger(__name__)

GROUP_MUTATIONS = 4_096  # a group takes further batches while it has fewer


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
        self.thread = ThreadPoolExecutor(1, "writer")  # started by the first batch that needs it
        self.noticed: Callable[[], None] = lambda: None  # called before and after every change
        self.interrupted = False
        self.sealed = False
        self.closed = False
        self.computed_rows = 0  # by all changes so far, of all layers

    def apply(self, mutations: Sequence[Mutation], key: str | None = None) -> Applied:
        """Applies a batch; returns when it is durable and visible.

        Raises:
            MutationRefusedError: an item cannot be done; nothing was.
            KeyReusedError: the key came with another batch before.
            JournalFailedError: the journal cannot be written; nothing was done.
            InferenceError: the networks failed; nothing was done.
            NotReadyError: the writer is sealed or closed; nothing was done.
        """
        outcome = self.enter(mutations, key)
        try:
            self.work_off(outcome)
            return outcome.result()
        finally:
            del outcome  # an error in it knows this frame: neither would be freed at once

    def submit(self, mutations: Sequence[Mutation], key: str | None = None) -> Future[Applied]:
        """Has the writer's thread apply a batch; for callers that must not wait.

        Returns:
            What `apply` would give; one that is cancelled before its turn is not applied.

        Raises:
            MutationRefusedError: there is no mutation, or the key is none.
            JournalFailedError, NotReadyError: see `apply`.
        """
        outcome = self.enter(mutations, key)
        try:
            self.thread.submit(self.work_off)
        except RuntimeError as error:  # closed since
            raise NotReadyError("the engine is closed") from error
        return outcome

    def enter(self, mutations: Sequence[Mutation], key: str | None) -> Future[Applied]:
        """Queues a batch."""
        if not mutations:
            raise MutationRefusedError("a batch needs at least one mutation", position=0)
        if key is not None:
            check_key(key)
        self.check_open()
        ticket = Ticket(tuple(mutations), key)
        self.noticed()
        self.waiting.append(ticket)
        return ticket.outcome

    def check_open(self) -> None:
        """Raises what a batch meets that must not be applied any more."""
        if self.interrupted:
            raise JournalFailedError("a change was interrupted; open the engine again")
        if self.sealed:
            raise NotReadyError("another bundle is being put in place; send the change again")
        if self.closed:
            raise NotReadyError("the engine is closed")

    def work_off(self, wanted: Future[Applied] | None = None) -> None:
        """Carries out what waits, at least until the outcome that is wanted is there."""
        with self.lock:
            while self.waiting if wanted is None else not wanted.done():
                group = self.next_group()
                try:
                    self.carry_out(group)
                finally:
                    group.clear()  # outcomes are in the hands of their callers alone
        self.noticed()

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
            ticket = self.waiting.popleft()
            if ticket.outcome.set_running_or_notify_cancel():
                group.append(ticket)
                size += len(ticket.mutations)
        return group

    def carry_out(self, group: Sequence[Ticket]) -> None:
        """Gives every ticket its outcome, whatever happens."""
        try:
            self.apply_group(group)
        except BaseException as error:
            for ticket in group:
                if not ticket.outcome.done():
                    failure = InferenceError("the change was taken back; the log says why")
                    ticket.outcome.set_exception(failure)
            if not isinstance(error, Exception):
                raise
            logger.exception("a change failed and was taken back")

    def apply_group(self, group: Sequence[Ticket]) -> None:
        """Applies the batches of a group that can be applied, together."""
        draft = self.store.draft()
        accepted: list[tuple[Ticket, Record]] = []
        version = self.store.view.version.number
        for ticket in group:
            try:
                self.check_open()
                record = ticket.record(version + 1 + len(accepted))
                if not self.was_known(ticket, record):
                    draft.apply(ticket.mutations)
                    accepted.append((ticket, record))
            except MutationError as error:
                ticket.outcome.set_exception(refusal(error))
            except (EngineError, JournalError) as error:
                ticket.outcome.set_exception(failure_of(error))
        if not accepted:
            return
        failure = self.commit(draft, [record for _, record in accepted])
        if failure is None:
            for ticket, record in accepted:
                ticket.outcome.set_result(Applied(record.number))
        elif len(accepted) == 1:
            accepted[0][0].outcome.set_exception(failure)
        else:
            for ticket, _ in accepted:  # one may be at fault: the others need not fail
                self.apply_group([ticket])

    def commit(self, draft: Draft, records: Sequence[Record]) -> EngineError | None:
        """Makes a draft's changes; or takes them back and returns why."""
        try:
            self.change(draft, records)
        except (EngineError, JournalError) as error:
            return failure_of(error)
        return None

    def was_known(self, ticket: Ticket, record: Record) -> bool:
        """Answers a ticket whose key was seen before."""
        known = None if ticket.key is None else self.journal.find(ticket.key)
        if known is None:
            return False
        if known.digest != record.digest:
            raise KeyReusedError(str(ticket.key))
        ticket.outcome.set_result(Applied(known.number, repeated=True))
        return True

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

    def moment(self) -> tuple[GraphState, list[NDArray[np.float32]]]:
        """The newest state, and what its nodes owe their neighbours in it."""
        with self.lock:
            return self.state, self.incremental.owed_now(self.state.graph.num_rows)

    def seal(self) -> None:
        """Refuses the changes that wait or come from now on; one may be running still."""
        self.sealed = True

    def unseal(self) -> None:
        self.sealed = False

    def pause(self) -> None:
        """Waits for the change that runs."""
        with self.lock:
            return

    def close(self) -> None:
        """Waits for the changes that are on their way, and closes the journal."""
        self.thread.shutdown()
        with self.lock:
            self.closed = True
            self.journal.close()
