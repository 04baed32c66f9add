"""Where a process begins to follow a log in Redis, and whether Redis has all that follows."""

from typing import TYPE_CHECKING
from uuid import uuid4

from understudy.graph.log.files import reading_files
from understudy.graph.log.streams.base import Base
from understudy.graph.log.streams.entries import About
from understudy.graph.log.streams.losses import about_of, check_base, check_stored
from understudy.graph.log.streams.scripts import FOLLOW, OPEN, STORED

if TYPE_CHECKING:
    from understudy.graph.log.streams.log import RedisLog


def begin(log: "RedisLog", position: int) -> Base:
    """With the folder's snapshot, else the newest of the store, else the log's own beginning.

    Args:
        position: where a new log begins; one is begun only where there is no snapshot of it.
    """
    log.server.check()
    base = log.folder.read()
    needed = 0 if base is None else base.number
    # Told before it is asked what is there: from then on that stays.
    log.server.run(FOLLOW, [log.followers_key], [log.process, needed])
    newest = None
    if log.store is not None:
        log.server.run(STORED, [log.followers_key], [0])  # until more is known of the store
        newest = log.store.newest() if base is None else None
    birth = uuid4().hex if base is None and newest is None else ""
    *found, first = log.server.run(OPEN, [log.about_key], [birth, position])
    about = about_of(found, log.where)
    if log.store is not None and base is not None and base.number < about.start:
        newest = log.store.newest()
    if newest is not None:
        base = bring(log, newest, about)
    elif base is None:  # the log's own beginning: from there on every key is known
        base = Base(log.graph, about.birth, about.birth, int(first or 0))
        with reading_files(log.folder.path):
            log.folder.write(base)
    check_base(base, about, log.graph, log.where, log.folder.path)
    return base


def bring(log: "RedisLog", newest: Base, about: About) -> Base:
    """Has the folder begin with the newest snapshot of the store."""
    assert log.store is not None
    check_stored(newest, about, log.where, log.store.where)
    log.store.bring(newest)
    with reading_files(log.folder.path):
        log.folder.write(newest)
    log.server.run(FOLLOW, [log.followers_key], [log.process, newest.number])
    return newest
