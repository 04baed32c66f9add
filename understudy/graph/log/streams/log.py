"""The log in a Redis Stream, for processes on many machines.

Each process has snapshots in a data folder, private or shared, and starts from the newest. Redis
keeps the records that a living process needs, now or on a restart, and a number of older ones.
"""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from uuid import uuid4

from understudy.graph.errors import (
    JournalDamagedError,
    JournalError,
    LogAwayError,
    LogUnsureError,
)
from understudy.graph.log.files import reading_files
from understudy.graph.log.followers import holding
from understudy.graph.log.keys import Keys
from understudy.graph.log.protocol import READ_BYTES, Record
from understudy.graph.log.streams.base import ADVICE, Base, BaseFolder
from understudy.graph.log.streams.beginning import begin
from understudy.graph.log.streams.entries import (
    About,
    arguments_of,
    content_digest,
    next_link,
    record_of,
)
from understudy.graph.log.streams.losses import about_of, forked, gone, lost, not_kept
from understudy.graph.log.streams.news import News
from understudy.graph.log.streams.options import RedisLogOptions
from understudy.graph.log.streams.scripts import APPEND, CONFIRM, READ, TRIM
from understudy.graph.log.streams.server import Argument, Server, patiently, text, turn
from understudy.graph.log.streams.stores import Store

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 5.0  # how long a batch is resent while Redis is unreachable
START_SECONDS = 30.0  # how long a starting process waits for Redis
READ_RECORDS = 1_000  # maximum number per request


class RedisLog:
    """One process's handle on the log; a batch is as durable as the options ask of Redis.

    Attributes:
        base: where this process, or another one on the same folder, begins
        last: number and link of the last record that was read or appended here
        before: number and link of the record after which the last read began; what followed may
            have to be read again
    """

    durable = True
    shared = True

    def __init__(
        self,
        options: RedisLogOptions,
        graph: str,
        data: Path,
        position: int = 0,
        store: Store | None = None,
    ) -> None:
        """Opens the log, or creates it.

        Args:
            graph: lineage of the graph whose changes it holds; names the keys in Redis.
            data: folder of the snapshots, created if missing.
            position: where a new log begins.
            store: of snapshots, for processes whose folder has no good one.

        Raises:
            LogAwayError: Redis is unreachable, and remained so during the wait.
            JournalForeignError: the folder belongs to another log.
            JournalDamagedError: Redis has lost records, or the folder's file is damaged.
            JournalError: Redis may lose records and that is not allowed; the log was trimmed beyond
                this process's position; or Redis refuses.
        """
        self.options = options
        self.graph = graph
        self.store = store
        self.process = uuid4().hex
        self.sequence = 0  # number of the last batch that was sent
        self.read_patience = START_SECONDS  # until the first read succeeds
        tag = f"{{understudy:log:{graph}}}"
        names = ("about", "records", "sent", "followers")
        self.about_key, self.records_key, self.sent_key, self.followers_key = (
            f"{tag}:{name}" for name in names
        )
        self.server = Server(options)
        with reading_files(data):
            data.mkdir(parents=True, exist_ok=True)
            self.folder = BaseFolder(data)
        self.news: News | None = None
        try:
            # Repeated as a whole: Redis may go away between any two requests.
            self.base = patiently(partial(begin, self, position), START_SECONDS, announce=True)
            self.at = self.base.number
            self.before = self.last = self.base.number, self.base.link
            keys = self.about_key, self.records_key, self.followers_key
            stored = None if store is None else 0
            self.news = News(lambda: Server(options).client, keys, self.base, self.process, stored)
        except BaseException:
            self.close()
            raise

    @property
    def where(self) -> str:
        return f"the log in Redis at {self.server.where}"

    @property
    def number(self) -> int:
        return self.last[0]

    @property
    def snapshot(self) -> str:
        """Name of the folder with the state before `start`; "" for the bundle."""
        return self.base.snapshot

    @property
    def start(self) -> int:
        """Number of the last record in the snapshot; Redis may hold older ones, too."""
        return self.base.number

    def again(self) -> "RedisLog":
        """Opens another handle on the same log, which reads on from this one's position."""
        log = RedisLog(self.options, self.graph, self.folder.data, store=self.store)
        # Another process on the folder may have moved its start beyond what this one has read.
        log.before = min(self.last, log.last)
        log.at = min(log.at, self.at)
        log.tell_need()
        return log

    def keys(self) -> Keys:
        """The idempotency keys as of `start`."""
        return self.base.known()

    def read(self, after: int) -> list[Record]:
        """Reads the next records after a number, see `Log.read`.

        Raises:
            LogAwayError: Redis does not answer.
            JournalDamagedError: a record is missing, or is not what was written.
            JournalError: Redis refuses, or has deleted the record.
        """
        if after < min(self.start, self.at):  # on a shared folder others may move the start
            raise JournalError(f"{self.where} is read from {self.start} on, not from {after}")
        self.folder.started()  # a process that reads has opened the snapshot
        if self.news is not None and self.news.moved:
            self.news.moved = False
            self.server.leave()
        link, number = self.link_of(after), after
        self.before = after, link
        records: list[Record] = []
        size = 0
        while size < READ_BYTES:
            about, rows = patiently(partial(self.read_some, number), self.read_patience)
            if about.last < number:
                raise lost(self.where, number, about.last)
            if about.start > number:
                raise JournalError(
                    f"{self.where} begins after record {about.start}, and this process is at "
                    f"{number}; start it again with a newer snapshot"
                )
            for entry_id, fields in rows:
                following = record_of(entry_id, fields, number + 1, link)
                if following is None:
                    raise JournalDamagedError(f"{self.where} is damaged after record {number}")
                record, link = following
                number = record.number
                records.append(record)
                size += len(record.payload)
            if rows and number < about.last:
                continue
            if (number, link) != (about.last, about.link):
                raise forked(self.where, number)
            break
        self.read_patience = 0.0
        self.reached(number, link)
        return records

    def read_some(self, after: int) -> tuple[About, list[tuple[bytes, dict[bytes, bytes]]]]:
        """The first entries after a number, and the log's description at that moment."""

        keys = [self.about_key, self.records_key]
        most = [READ_RECORDS, READ_BYTES]
        found, entries = self.server.run(READ, keys, [f"{after + 1}-0", *most])
        rows = [(entry, dict(zip(row[::2], row[1::2], strict=True))) for entry, row in entries]
        about = about_of(found, self.where)
        if about.birth != self.base.birth:
            raise gone(self.where)
        return about, rows

    def link_of(self, number: int) -> str:
        if number == self.number:
            return self.last[1]
        if number == self.start:
            return self.base.link
        if number == self.before[0]:
            return self.before[1]
        rows = self.server.ask(
            lambda client: client.xrange(self.records_key, f"{number}-0", f"{number}-0")
        )
        if not rows:
            raise JournalError(f"{self.where} does not contain record {number}")
        return text(rows[0][1][b"link"])

    def reached(self, number: int, link: str) -> None:
        self.last = number, link
        self.folder.reached.keep(self.base.birth, number, link, durable=False)
        if self.news is not None:
            self.news.reached(number)

    def append(self, records: Sequence[Record]) -> None:
        """Appends records; returns once all are as safe as asked; all or none are kept.

        Raises:
            LogMovedError: others appended after the last record that was read here.
            LogUnsureError: Redis went away meanwhile; whether they are kept is unknown.
            JournalError: none is kept.
        """
        number = records[0].number - 1
        link = self.link_of(number)
        self.send(records, number, link, exact=True)
        for record in records:
            link = next_link(link, record.number, content_digest(record))
        self.reached(records[-1].number, link)

    def push(self, entries: Sequence[Record]) -> int:
        """Appends at the current end of the log; returns the number of the first record.

        Raises:
            LogUnsureError: Redis went away meanwhile; whether they are kept is unknown.
            JournalError: none is kept.
        """
        tentative = [Record(0, entry.key, entry.payload, True) for entry in entries]
        return self.send(tentative, *self.last, exact=False)

    def send(self, records: Sequence[Record], number: int, link: str, exact: bool) -> int:
        """Sends a batch, repeatedly while Redis is away for a short time.

        The script recognises a repeated batch by process and sequence number, so a batch whose
        answer was lost is not stored twice.

        Args:
            number, link: of a record that was read here; the log must hold it.
            exact: it must be the last one.
        """
        self.sequence += 1
        arguments: list[Argument] = [self.base.birth, self.process, self.sequence]
        arguments += [number, link, int(exact)]
        arguments += [part for record in records for part in arguments_of(record)]
        keys = [self.about_key, self.records_key, self.sent_key]
        try:
            outcome, last = patiently(
                lambda: self.server.write(APPEND, keys, arguments), PATIENCE_SECONDS
            )
        except LogAwayError as error:
            raise LogUnsureError(
                f"{self.where} went away meanwhile, and it is unknown whether it has the change: "
                "send it again with the same key"
            ) from error
        if text(outcome) != "kept":
            raise not_kept(self.where, text(outcome), number, int(last))
        return int(last)

    def confirm(self) -> None:
        """Returns once all records that were read here are as safe as asked, whoever sent them.

        Raises:
            LogUnsureError: they are not that safe yet.
            JournalError: Redis is away, or without the log.
        """
        if self.server.waiting():
            outcome = self.server.write(CONFIRM, [self.about_key], [self.base.birth])
            if text(outcome) != "kept":
                raise gone(self.where)

    def applied(self, number: int) -> None:
        """Reports that the records up to a number are applied here; others learn it later."""
        self.at = number
        self.tell_need()

    def tell_need(self) -> None:
        """Reports the records needed: by a restart from the base, by this process from `at`."""
        if self.news is not None:
            self.news.needed = min(self.at, self.base.number)

    def wait(self, seconds: float) -> bool:
        """Waits for news, a timeout or `wake`; False once closed."""
        self.folder.reached.keep(self.base.birth, *self.last)
        return self.news is not None and self.news.wait(seconds)

    def wake(self) -> None:
        """Ends a `wait` of another thread."""
        if self.news is not None:
            self.news.wake()

    def keeping(self) -> AbstractContextManager[bool]:
        """A block that yields whether this process alone may write, find and remove snapshots."""
        return holding(self.folder.beside("snapshots-lock"))

    def refresh(self) -> None:
        """Reads `start` and `snapshot` again, which a process on the same folder may have moved."""
        with reading_files(self.folder.path):
            base = self.folder.read()
        if base is None or base.birth != self.base.birth:
            raise JournalDamagedError(f"{self.folder.path} is missing or another log's; {ADVICE}")
        self.base = base
        self.tell_need()

    def free(self, number: int) -> None:
        """Checks that no process is starting from this folder.

        Raises:
            LogHeldError: one is.
        """
        self.folder.started()
        with reading_files(self.folder.path), self.folder.alone():
            return

    def stored(self, number: int) -> None:
        """Records that the store has a snapshot of a number: older records may be deleted."""
        if self.news is not None:
            self.news.stored = number

    def storing(self) -> AbstractContextManager[bool]:
        """A block that yields whether this replica alone may store a snapshot; for any thread."""
        return turn(Server(self.options), f"{self.followers_key}:storing", self.process)

    def truncate(self, number: int, snapshot: str, keys: Keys) -> None:
        """Makes this folder begin with a snapshot, and deletes unneeded records from Redis.

        Raises:
            LogHeldError: another process is starting from this folder.
            JournalError: everything stays as it is.
        """
        self.folder.started()
        with reading_files(self.folder.path), self.folder.alone():
            self.refresh()
            if not self.start <= number <= self.number:
                raise JournalError(
                    f"{self.where} was read from {self.start} to {self.number}; it cannot be "
                    f"shortened to start after {number}"
                )
            new = Base(
                self.graph,
                self.base.birth,
                self.link_of(number),
                number,
                snapshot,
                tuple(keys.rows(number)),
            )
            self.folder.write(new)
        self.base = new
        self.at = max(self.at, number)
        self.tell_need()
        self.trim()

    def trim(self) -> None:
        """Deletes records that precede the snapshot and that no living process needs."""
        keys = [self.about_key, self.records_key, self.sent_key, self.followers_key]
        kept = self.options.records_kept, self.options.bytes_kept
        needed = min(self.at, self.base.number)
        stored = None if self.news is None else self.news.stored
        mark: list[Argument] = [self.process, needed, "" if stored is None else stored]
        try:
            start = self.server.run(TRIM, keys, [self.base.birth, self.base.number, *mark, *kept])
        except JournalError as error:  # retried after the next snapshot
            logger.warning("%s is not trimmed: %s", self.where, error)
        else:
            logger.info("%s now starts after record %d", self.where, int(start))

    def close(self) -> None:
        """Closes the log; may be called again."""
        self.folder.started()
        if self.news is not None and not self.news.closed:
            self.folder.reached.keep(self.base.birth, *self.last)
            self.news.close()
            with suppress(JournalError):  # otherwise its entry expires
                self.server.ask(lambda client: client.hdel(self.followers_key, self.process))
        self.server.close()

    def __del__(self) -> None:
        news: News | None = getattr(self, "news", None)  # unset if opening failed
        if news is not None:
            news.close()
            self.folder.started()
