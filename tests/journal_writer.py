"""A process to be killed: it changes a graph, and prints what was acknowledged."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock, Semaphore, Thread

from understudy.engine.engine import Engine
from understudy.engine.errors import JournalFailedError
from understudy.graph.log.protocol import Record
from understudy.graph.log.sqlite import SqliteLog
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, UpsertNode

BUNDLE = "a bundle"  # identity of the journal-level test's
SNAPSHOT_BATCHES = 40  # of all writers together, after which snapshots are asked for
SNAPSHOT_CALLERS = 2  # that ask at the same time


def record(number: int) -> Record:
    """A record that depends on nothing but its number."""
    return Record(number, f"key-{number}", b"payload %d " % number * (1 + number % 40))


def append_for_ever(path: Path, group: int, reports: Connection) -> None:
    """Appends groups of records; reports the last number of every group that is kept."""
    journal = SqliteLog(path, BUNDLE)
    reports.send(journal.number)
    while True:
        first = journal.number + 1
        journal.append([record(number) for number in range(first, first + group)])
        reports.send(journal.number)


def batch(writer: str, number: int) -> list[Mutation]:
    """Adds a node with two edges and, every third time, removes an earlier one."""
    name = f"{writer}-{number}"
    mutations: list[Mutation] = [
        UpsertNode(name, f"json parser {number}", "net"),
        AddEdge(name, f"node-{1 + number % 17}"),
        AddEdge(name, "node-0"),
    ]
    if number % 3 == 2:
        mutations.append(DeleteNode(f"{writer}-{number - 2}"))
    return mutations


def change_for_ever(bundle: Path, data: Path, writers: Sequence[str], reports: Connection) -> None:
    """Applies batches on a thread a writer; reports (version, key) of every acknowledged one.

    Snapshots are written meanwhile, by several callers at once.
    """
    engine = Engine.open(bundle, data=data)
    sending = Lock()
    wanted = Semaphore(SNAPSHOT_CALLERS)
    reports.send((engine.state.version, ""))

    def write(writer: str) -> None:
        for number in count():
            key = f"{writer}-{number}"
            applied = engine.apply(batch(writer, number), key)
            with sending:
                reports.send((applied.version, key))
            if applied.version % SNAPSHOT_BATCHES == 0:
                wanted.release(SNAPSHOT_CALLERS)

    def keep() -> None:
        while wanted.acquire():
            with suppress(JournalFailedError):  # another process is not as far yet
                engine.snapshot()

    threads = [Thread(target=write, args=(writer,), daemon=True) for writer in writers]
    threads += [Thread(target=keep, daemon=True) for _ in range(SNAPSHOT_CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
