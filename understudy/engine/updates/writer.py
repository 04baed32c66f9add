"""Applies changes of the graph: checks, computes, makes durable and publishes them, in groups.

Callers queue up; the one that holds the lock carries out everything that waits as one group, in one
pass over the affected nodes and one commit of the log. Each batch stays all or nothing. For callers
on an event loop the writer's own thread does this, so the number of waiting batches is not limited
by threads.

A group is computed before it is appended, so a batch that makes the networks fail never enters the
log. If other processes appended meanwhile, the group is taken back and pushed to the end of the
log; every process then decides identically which of its batches are accepted.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy

from understudy.engine.errors import (
    ChangeUnsureError,
    EngineError,
    InferenceError,
    JournalFailedError,
    KeyReusedError,
    MutationRefusedError,
    NotReadyError,
)
from understudy.engine.originals import Originals
from understudy.engine.state import Tables
from understudy.engine.updates.affected import Incremental
from understudy.engine.updates.replica import Replica
from understudy.engine.updates.tickets import Applied, Ticket, check_key, failure_of, refusal
from understudy.graph.errors import JournalError, LogMovedError, MutationError
from understudy.graph.log.keys import Keys
from understudy.graph.log.protocol import Log, Record, payload_bytes
from understudy.graph.mutable.draft import Draft
from understudy.graph.mutable.store import GraphStore
from understudy.graph.mutations import Mutation

logger = logging.getLogger(__name__)

GROUP_MUTATIONS = 4_096  # a group takes further batches while it has fewer mutations


class Writer(Replica):
    """The one writer of a process's graph and activations; safe to share between threads."""

    incremental: Incremental

    def __init__(
        self,
        store: GraphStore,
        tables: Tables,
        incremental: Incremental,
        log: Log,
        keys: Keys | None = None,
        originals: Originals | None = None,
    ) -> None:
        """Starts at the store's version.

        Args:
            keys: at that version; None: it is the start of the log.
            originals: the files that store and tables are mapped from; None: no file is mapped.
        """
        super().__init__(store, tables, incremental, log, keys)
        self.originals = Originals() if originals is None else originals
        self.waiting: deque[Ticket] = deque()
        self.thread = ThreadPoolExecutor(1, "writer")  # started by the first batch that needs it
        self.noticed: Callable[[], None] = lambda: None  # called before and after every change
        self.heir: Writer | None = None  # the writer that carries out what still arrives here

    def apply(self, mutations: Sequence[Mutation], key: str | None = None) -> Applied:
        """Applies a batch; returns when it is durable and visible.

        Raises:
            MutationRefusedError: an item cannot be applied; nothing was done.
            KeyReusedError: the key was used for another batch.
            JournalFailedError: the log cannot be written; nothing was done.
            InferenceError: the networks failed; nothing was done.
            NotReadyError: the writer is closed, or a mapped file was overwritten; nothing was done.
        """
        outcome = self.enter(mutations, key)
        try:
            self.work_off(outcome)
            return outcome.result()
        finally:
            del outcome  # its error references this frame: the cycle would delay freeing both

    def submit(self, mutations: Sequence[Mutation], key: str | None = None) -> Future[Applied]:
        """Queues a batch for the writer's thread; for callers that must not wait.

        Returns:
            A future of the result of `apply`; a batch cancelled before its turn is not applied.

        Raises:
            MutationRefusedError: there is no mutation, or the key is invalid.
            JournalFailedError, NotReadyError: see `apply`.
        """
        outcome = self.enter(mutations, key)
        try:
            self.thread.submit(self.work_off)
        except RuntimeError as error:  # closed meanwhile
            raise NotReadyError("the engine is closed") from error
        return outcome

    def enter(self, mutations: Sequence[Mutation], key: str | None) -> Future[Applied]:
        """Queues a batch."""
        if not mutations:
            raise MutationRefusedError("a batch needs at least one mutation")
        if key is not None:
            check_key(key)
        self.check_open()
        ticket = Ticket(tuple(mutations), key)
        self.noticed()
        self.waiting.append(ticket)
        return ticket.outcome

    def check_open(self) -> None:
        """Raises if no batch may be applied any more."""
        if self.interrupted:
            raise JournalFailedError(
                "a change was interrupted, so no further one is made; restart the service, or open "
                "the engine again"
            )
        if self.closed:
            raise NotReadyError("the engine is closed")

    def work_off(self, wanted: Future[Applied] | None = None) -> None:
        """Carries out what waits, at least until the wanted outcome is there."""
        with self.lock:
            self.pass_on()
            while self.heir is None and (self.waiting if wanted is None else not wanted.done()):
                group = self.next_group()
                try:
                    self.carry_out(group)
                finally:
                    group.clear()  # only the callers keep the outcomes
        self.noticed()

    def next_group(self) -> list[Ticket]:
        """Takes the oldest waiting batches; a key occurs once in a group."""
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
        """Applies a group and gives every ticket an outcome, even after an unexpected error."""
        try:
            self.apply_group(group)
        except BaseException as error:
            for ticket in group:
                if not ticket.outcome.done():
                    failure = InferenceError("the change was rolled back; the log says why")
                    ticket.outcome.set_exception(failure)
            if not isinstance(error, Exception):
                raise
            logger.exception("a change failed and was rolled back")

    def apply_group(self, group: Sequence[Ticket]) -> None:
        """Applies the acceptable batches of a group together."""
        try:
            self.check_open()
            self.originals.check()
            self.catch_up()  # batches are checked against the newest graph
        except EngineError as error:
            for ticket in group:  # a copy each, since it keeps the frames of its caller
                ticket.outcome.set_exception(copy(failure_of(error)))
            return
        draft = self.store.draft()
        taken: list[Ticket] = []
        repeated: list[Ticket] = []
        records: list[Record] = []  # of batches that change anything
        version = self.state.version
        for ticket in group:
            record = ticket.record(version + 1 + len(records))
            try:
                if self.was_known(ticket, record):
                    repeated.append(ticket)
                    continue
                draft.apply(ticket.mutations)
            except MutationError as error:
                ticket.outcome.set_exception(refusal(error))
                continue
            except EngineError as error:
                ticket.outcome.set_exception(failure_of(error))
                continue
            taken.append(ticket)
            # With a key it is recorded even if idle, so that a repetition does nothing either.
            if ticket.key is None and draft.is_idle():
                draft.take_back()
                ticket.applied = Applied(version + len(records), changed=False)
            else:
                records.append(record)
                ticket.applied = Applied(record.number)
        if repeated:
            self.answer_repeated(repeated)
        if not records:
            answer(taken)
            return
        failure = self.commit(draft, records, taken)
        if isinstance(failure, ChangeUnsureError):
            for ticket in taken:  # not retried: a batch without a key might be applied twice
                ticket.outcome.set_exception(copy(failure))
        elif failure is not None and len(taken) == 1:
            taken[0].outcome.set_exception(failure)
        elif failure is not None:
            for ticket in taken:  # one may be the cause: the others need not fail
                self.apply_group([ticket])

    def commit(
        self, draft: Draft, records: Sequence[Record], taken: Sequence[Ticket]
    ) -> EngineError | None:
        """Computes and logs a draft's changes; on failure takes them back and returns the reason.

        Args:
            records: of the batches that change anything.
            taken: these batches, and those that change nothing unless another process does.
        """
        try:
            try:
                self.change(draft, len(records), lambda: self.log.append(records))
            except LogMovedError:
                first = self.log.push([ticket.record(0) for ticket in taken])
            else:
                self.publish(records, taken)
                return None
        except (EngineError, JournalError) as error:
            return failure_of(error)
        self.answer_pushed(taken, first)
        return None

    def publish(self, records: Sequence[Record], taken: Sequence[Ticket]) -> None:
        """Answers the batches that are in the log as computed."""
        self.keys.begin()
        for record in records:
            self.remember(record)
        self.log_bytes += payload_bytes(records)
        answer(taken)
        self.log.applied(self.state.version)

    def answer_pushed(self, pushed: Sequence[Ticket], first: int) -> None:
        """Applies the log up to the pushed batches, and answers them.

        Args:
            first: number of the first one's record.
        """
        try:
            fates = self.catch_up()
        except EngineError:  # logged by the replica
            for ticket in pushed:
                ticket.outcome.set_exception(
                    ChangeUnsureError(
                        "the change is in the log but cannot be applied here yet; send it again "
                        "with the same key"
                    )
                )
            return
        for number, ticket in enumerate(pushed, start=first):
            fate = fates[number]
            if isinstance(fate, Applied):
                ticket.outcome.set_result(fate)
            else:
                ticket.outcome.set_exception(fate)

    def was_known(self, ticket: Ticket, record: Record) -> bool:
        """Finds the outcome of a ticket whose key was used before; returns whether there is one."""
        known = self.keys.find(ticket.key)
        if known is None:
            return False
        if known.digest != record.digest:
            raise KeyReusedError(str(ticket.key))
        ticket.applied = Applied(known.number, repeated=True)
        return True

    def answer_repeated(self, repeated: Sequence[Ticket]) -> None:
        """Answers batches that are in the log already, once they are as safe there as new ones."""
        try:
            self.log.confirm()
        except JournalError as error:
            for ticket in repeated:
                ticket.outcome.set_exception(copy(failure_of(error)))
        else:
            answer(repeated)

    def hand_over(self, heir: "Writer", swap: Callable[[], None]) -> None:
        """Makes another writer of the same log carry out every change from one version on.

        Waiting batches move to it; nothing is refused or lost.

        Args:
            swap: directs readers to the heir; called while neither writer can change anything and
                the heir's version is this one's or a later one.

        Raises:
            JournalFailedError, InferenceError: the heir cannot follow the log; this writer goes on.
        """
        heir.follow()  # most of the log, while changes continue here
        with self.lock, heir.lock:
            heir.catch_up()
            heir.log_bytes, heir.counted_from = self.log_bytes, self.counted_from
            swap()
            self.heir = heir
            self.pass_on()

    def pass_on(self) -> None:
        """Moves waiting batches to the heir, if there is one; the caller holds the lock."""
        if self.heir is not None and self.waiting:
            while self.waiting:
                self.heir.waiting.append(self.waiting.popleft())
            self.heir.thread.submit(self.heir.work_off)

    def close(self) -> None:
        """Waits for queued changes, and closes the log."""
        self.thread.shutdown()
        with self.lock:
            self.closed = True
            self.log.close()
        self.originals.end()
        self.arrivals.release()


def answer(taken: Sequence[Ticket]) -> None:
    """Gives the batches' callers their outcomes."""
    for ticket in taken:
        ticket.outcome.set_result(ticket.applied)
