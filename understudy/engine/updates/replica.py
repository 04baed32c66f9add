"""A graph and its activations at one position of a log, and how they move to a later one."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from understudy.engine.errors import EngineError, JournalFailedError, KeyReusedError
from understudy.engine.stale import StaleLogits
from understudy.engine.state import GraphState, Tables
from understudy.engine.updates.arrivals import Arrivals
from understudy.engine.updates.tickets import Applied, failure_of, refusal
from understudy.engine.updates.wave import Settling
from understudy.graph.errors import JournalError, MutationError
from understudy.graph.log.keys import KeyedBatch, Keys
from understudy.graph.log.protocol import Log, Record, payload_bytes, pieces
from understudy.graph.mutable.draft import Draft
from understudy.graph.mutable.materialize import whole_adjacency
from understudy.graph.mutable.store import GraphChange, GraphStore
from understudy.graph.mutable.versions import Undo
from understudy.graph.mutable.view import GraphView
from understudy.graph.mutations import decode_mutations

logger = logging.getLogger(__name__)

Fate = Applied | EngineError  # the outcome of a record


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a state may lag behind the log.

    Attributes:
        entries: records that were read and are not applied yet.
        seconds: time since the state last equalled the log; checked at least once a second.
    """

    entries: int
    seconds: float


class Computing(Protocol):
    """Keeps activations up to date with the graph; see `Incremental`."""

    @property
    def owes(self) -> bool: ...

    @property
    def waiting(self) -> int: ...

    @property
    def stale(self) -> StaleLogits | None: ...

    def update(
        self, old: GraphView, new: GraphView, change: GraphChange, undo: Undo, settling: Settling
    ) -> int: ...

    def keep(self) -> None: ...

    def forget(self) -> None: ...

    def owed_now(self, rows: int) -> list[NDArray[np.float32]]: ...


class NothingComputed:
    """Stands in for `Incremental` when only the graph is needed."""

    owes = False
    waiting = 0
    stale = None

    def update(
        self, old: GraphView, new: GraphView, change: GraphChange, undo: Undo, settling: Settling
    ) -> int:
        return 0

    def keep(self) -> None:
        """Does nothing."""

    def forget(self) -> None:
        """Does nothing."""

    def owed_now(self, rows: int) -> list[NDArray[np.float32]]:
        return []


class Replica:
    """Applies a log; the outcome of a record depends on the log alone, not on who appended it.

    Attributes:
        state: the newest state; replaced as a whole with every change. Its version is the position.
        keys: the idempotency keys at that position.
        failure: why the log could not be followed; readers then have an old state.
        synchronised: monotonic time in seconds at which the state last equalled the log.
        log_bytes: bytes of the payloads applied since `counted_from`.
        counted_from: the start of the log, as last seen.
    """

    def __init__(
        self,
        store: GraphStore,
        tables: Tables,
        incremental: Computing,
        log: Log,
        keys: Keys | None = None,
    ) -> None:
        """Starts at the store's version.

        Args:
            keys: at that version; None: it is the start of the log.
        """
        self.store = store
        self.tables = tables
        self.incremental = incremental
        self.log = log
        self.keys = log.keys() if keys is None else keys
        self.state = self.newest()
        self.lock = Lock()
        self.arrivals = Arrivals()
        self.failure: EngineError | None = None
        self.synchronised = monotonic()
        self.interrupted = False
        self.closed = False
        self.computed_rows = 0  # by all changes so far, over all layers
        self.log_bytes, self.counted_from = 0, log.start

    def newest(self) -> GraphState:
        """Makes a reader's state of the store's version."""
        return GraphState(self.store.view, self.tables, self.incremental.stale)

    def follow(self) -> bool:
        """Applies what other processes appended; returns whether there was anything.

        Raises:
            JournalFailedError: the log cannot be read, or does not fit the graph.
            InferenceError: the networks failed.
        """
        with self.lock:
            return not self.closed and not self.interrupted and bool(self.catch_up())

    def lag(self) -> Lag:
        """Estimates how far the state may lag behind the log."""
        if not self.log.shared:
            return Lag(0, 0.0)
        entries = max(self.log.number - self.state.version, 0)
        return Lag(entries, monotonic() - self.synchronised)

    def catch_up(self) -> dict[int, Fate]:
        """Applies everything in the log; returns the outcome of each new record by its number.

        The caller holds the lock. Raises the same errors as `follow`.
        """
        began = monotonic()
        fates: dict[int, Fate] = {}
        try:
            for records in pieces(self.log, self.state.version):
                fates |= self.apply_records(records)
                self.log.applied(self.state.version)
        except (EngineError, JournalError) as error:
            failure = failure_of(error)
            if type(self.failure) is not type(failure):
                logger.error("the log cannot be followed: %s", failure)
            self.failure = failure
            raise failure from None
        self.synchronised = began
        if self.failure is not None:
            logger.info("following the log again")
            self.failure = None
        return fates

    def apply_records(self, records: Sequence[Record]) -> dict[int, Fate]:
        """Applies records of the log in one pass; all or none.

        Raises:
            JournalFailedError: a record does not fit the graph.
            InferenceError: the networks failed.
        """
        draft = self.store.draft()
        self.keys.begin()
        try:
            fates = {record.number: self.judge(draft, record) for record in records}
            self.change(draft, len(records))
        except BaseException:
            self.keys.take_back()
            raise
        self.log_bytes += payload_bytes(records)
        return fates

    def judge(self, draft: Draft, record: Record) -> Fate:
        """Adds a record to a draft, if the graph and the earlier keys allow it.

        Raises:
            JournalFailedError: the record was accepted when it was appended, but does not fit now.
        """
        known = self.keys.find(record.key) if record.tentative else None
        if known is not None:
            same = known.digest == record.digest
            return Applied(known.number, repeated=True) if same else KeyReusedError(str(record.key))
        try:
            mutations = decode_mutations(record.payload)
        except JournalError as error:  # its checksum is right, so it was written like this
            raise JournalFailedError(
                f"this release does not understand record {record.number} of the journal, which a "
                f"newer release wrote: upgrade this process ({error})"
            ) from error
        try:
            # Checked against the graph only: newer rules for ids do not apply to old records.
            draft.apply(mutations, acknowledged=True)
        except MutationError as error:
            if record.tentative:
                return refusal(error)
            raise JournalFailedError(
                f"record {record.number} of the journal does not fit the graph: {error}"
            ) from error
        self.remember(record)
        return Applied(record.number)

    def remember(self, record: Record) -> None:
        """Stores the key of an accepted record."""
        if record.key is not None:
            self.keys.add(record.key, KeyedBatch(record.number, record.digest))

    def change(
        self,
        draft: Draft,
        batches: int,
        keep: Callable[[], None] = lambda: None,
        settling: Settling = Settling.NOTHING,
    ) -> None:
        """Computes a draft, makes it durable and publishes it; takes everything back on failure.

        Args:
            batches: how much the version number rises.
            keep: makes the change durable, if it is not yet.
            settling: see `Incremental.update`.
        """
        undo, old = self.store.begin(), self.store.view
        try:
            view, change = self.store.write(draft, undo, batches)
            self.computed_rows += self.incremental.update(old, view, change, undo, settling)
            keep()
        except BaseException as error:
            # After a Ctrl-C it is unknown whether the log has the records.
            self.interrupted = not isinstance(error, Exception)
            self.store.abandon()
            self.incremental.forget()
            self.state = self.newest()
            raise
        self.incremental.keep()
        self.store.publish(view, draft, change)
        self.state = self.newest()
        self.arrivals.reached(self.state.version)

    def settle(self, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Computes everything that is owed or stale, see `Incremental`; the version stays.

        Args:
            interrupted: asked between pieces; whether to leave the rest for later.
        """
        while self.incremental.owes and not interrupted():
            with self.lock:  # released between pieces, so that changes need not wait for all
                self.change(self.store.draft(), 0, settling=Settling.ALL)

    def answer_waiting(self, rest: Callable[[], bool]) -> None:
        """Computes as many stale logits as there are now, even while changes arrive.

        Args:
            rest: called between pieces, lets changes in; returns whether to stop.
        """
        left = self.incremental.waiting
        while left > 0 and self.incremental.waiting:
            with self.lock:
                before = self.incremental.waiting
                if before:
                    self.change(self.store.draft(), 0, settling=Settling.LOGITS)
                left -= before - self.incremental.waiting
            if rest():
                return

    def compact(self) -> None:
        """Merges the changed neighbour lists into one array, while reads and writes continue."""
        with self.lock:
            view = self.store.view
        adjacency = whole_adjacency(view)
        with self.lock:
            self.store.adopt(view, adjacency)
            self.state = self.newest()

    def log_start(self) -> int:
        """Number of the last record before the log's start, which other processes may move.

        Raises:
            JournalError: the log cannot be read.
        """
        with self.lock:
            self.log.refresh()
            return self.log.start

    def log_size(self) -> tuple[int, int]:
        """Number of records since the log's start, and approximately their bytes.

        Raises:
            JournalError: the log cannot be read.
        """
        start = self.log_start()
        with self.lock:
            if start != self.counted_from:
                self.log_bytes, self.counted_from = 0, start
            return self.state.version - start, self.log_bytes

    def check_free(self, number: int) -> None:
        """Checks that no other process needs the records up to a number.

        Raises:
            LogHeldError: another process needs them.
        """
        with self.lock:
            self.log.free(number)

    def truncate(self, number: int, snapshot: str, keys: Keys) -> None:
        """Makes the log start after a snapshot.

        Raises:
            JournalError: it failed; the log stays as it was.
        """
        with self.lock:
            self.log.truncate(number, snapshot, keys)

    def moment(self) -> tuple[GraphState, list[NDArray[np.float32]], Keys]:
        """Returns the newest state, what its nodes owe their neighbours, and its keys."""
        with self.lock:
            owed = self.incremental.owed_now(self.state.graph.num_rows)
            return self.state, owed, self.keys.copy()
