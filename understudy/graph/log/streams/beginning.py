"""Finds where a process begins to follow a log in Redis, and checks that Redis has the rest."""

import logging
from typing import TYPE_CHECKING
from uuid import uuid4

from understudy.graph.errors import JournalDamagedError
from understudy.graph.log.files import reading_files
from understudy.graph.log.streams.base import Base
from understudy.graph.log.streams.entries import About
from understudy.graph.log.streams.losses import (
    about_of,
    check_base,
    check_stored,
    lost_before,
)
from understudy.graph.log.streams.reached import Mark
from understudy.graph.log.streams.scripts import FOLLOW, OPEN, STORED
from understudy.graph.log.streams.server import text

if TYPE_CHECKING:
    from understudy.graph.log.streams.log import RedisLog

logger = logging.getLogger(__name__)


def begin(log: "RedisLog", position: int) -> Base:
    """Begins with the folder's snapshot, otherwise the store's newest, otherwise the log's start.

    Args:
        position: where a new log begins; one is created only if there is no snapshot.
    """
    log.server.check()
    base = log.folder.read()
    with reading_files(log.folder.path):
        mark = log.folder.reached.read()  # read before asking how far the log goes
    needed = 0 if base is None else base.number
    # Registers before asking what exists, so that it is kept from then on.
    keys, known = [log.about_key, log.followers_key], "" if base is None else base.birth
    log.server.run(FOLLOW, keys, [known, log.process, needed])
    newest = None
    if log.store is not None:
        log.server.run(STORED, keys, [known, 0])  # until the store's content is known
        newest = log.store.newest() if base is None else None
    birth = uuid4().hex if base is None and newest is None else ""
    *found, first = log.server.run(OPEN, [log.about_key], [birth, position])
    about = about_of(found, log.where, "" if log.store is None else log.store.where)
    if log.store is not None and base is not None and base.number < about.start:
        newest = log.store.newest()
    if newest is not None:
        base = bring(log, newest, about)
    elif base is None:  # the log's own start, where all keys are known
        base = Base(log.graph, about.birth, about.birth, int(first or 0))
        with reading_files(log.folder.path):
            log.folder.write(base)
    check_base(base, about, log.graph, log.where, log.folder.path)
    if mark is not None and mark.birth == about.birth:
        check_mark(log, mark, about)
    return base


def check_mark(log: "RedisLog", mark: Mark, about: About) -> None:
    """Checks that Redis has what the processes of this folder had read.

    Raises:
        JournalDamagedError: it has lost some of it, and that is not allowed.
    """
    link = about.link
    if mark.number < about.last:
        number = f"{mark.number}-0"
        rows = log.server.ask(lambda client: client.xrange(log.records_key, number, number))
        link = text(rows[0][1][b"link"]) if rows else mark.link  # trimmed, so it cannot be compared
    if mark.number <= about.last and link == mark.link:
        return
    message = lost_before(log.where, mark.number, about.last, log.folder.reached.path)
    if not log.options.allow_loss:
        raise JournalDamagedError(message)
    logger.error("%s. Continuing, since --log-allow-loss is set", message)
    with reading_files(log.folder.path):
        log.folder.reached.forget()


def bring(log: "RedisLog", newest: Base, about: About) -> Base:
    """Makes the folder begin with the newest snapshot of the store."""
    assert log.store is not None
    check_stored(newest, about, log.where, log.store.where)
    log.store.bring(newest)
    with reading_files(log.folder.path):
        log.folder.write(newest)
    keys = [log.about_key, log.followers_key]
    log.server.run(FOLLOW, keys, [newest.birth, log.process, newest.number])
    return newest
