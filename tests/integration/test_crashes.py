"""Processes killed at random moments: acknowledged changes survive, nothing is half done.

A few kills by default; with UNDERSTUDY_LONG_TESTS set, hundreds, or as many as UNDERSTUDY_KILLS
says.
"""

import logging
import multiprocessing
import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bundles import NODES, TinyBundle, reference_activations
from tests.journal_writer import BUNDLE, append_for_ever, batch, change_for_ever, record
from tests.unit.engine.changes import described, ids_of
from understudy.engine.engine import Engine
from understudy.engine.placing import JOURNAL_FILE
from understudy.graph.log.sqlite import SqliteLog
from understudy.graph.mutable.materialize import to_text_graph

logger = logging.getLogger(__name__)

LONG = "UNDERSTUDY_LONG_TESTS" in os.environ
JOURNAL_KILLS = 400 if LONG else 60
SHARED_KILLS = 60 if LONG else 2  # rounds of three
ENGINE_KILLS = int(os.environ.get("UNDERSTUDY_KILLS", 200 if LONG else 6))
WRITERS = 4
COMPARED_EVERY = 10  # kills, with a computation of everything from nothing
START_SECONDS = 120.0


@pytest.fixture(scope="module")
def forking() -> Any:
    """Children of a small server that has imported all they need: a kill costs milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.journal_writer"])
    return context


CHILDREN: dict[Connection, Any] = {}  # by what they report through


def kill_reporter(reports: Connection) -> None:
    """Kills a child before its block ends."""
    CHILDREN[reports].kill()
    CHILDREN[reports].join()


@contextmanager
def doomed(forking: Any, target: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """Runs a child that reports; kills it at the end of the block."""
    receiving, sending = forking.Pipe(duplex=False)
    child = forking.Process(target=target, args=(*arguments, sending), daemon=True)
    child.start()
    sending.close()
    CHILDREN[receiving] = child
    try:
        yield receiving
    finally:
        child.kill()
        child.join()


def reports_until_killed(
    reports: Connection, generator: random.Random, most: int = 25, seconds: float = 0.004
) -> list[Any]:
    """Some first reports, `most` at most; the kill follows at any moment after the last of them."""
    assert reports.poll(START_SECONDS), "the child did not start"
    seen = [reports.recv() for _ in range(1 + generator.randrange(most))]
    reports.poll(generator.random() * seconds)
    return seen


def rest(reports: Connection) -> list[Any]:
    """What a killed child had still reported; its last report may be torn."""
    seen = []
    with suppress(EOFError, OSError):
        while reports.poll():
            seen.append(reports.recv())
    return seen


def test_a_killed_writer_loses_no_kept_record(forking: Any, tmp_path: Path) -> None:
    generator = random.Random(1)
    path = tmp_path / "journal.sqlite"
    before = 0
    for kill in range(JOURNAL_KILLS):
        group = 1 + kill % 7
        with doomed(forking, append_for_ever, path, group) as reports:
            kept = reports_until_killed(reports, generator)
        kept += rest(reports)
        journal = SqliteLog(path, BUNDLE)
        records = journal.read(journal.start)
        assert journal.number >= max(kept)
        assert (journal.number - before) % group == 0  # a group is kept whole or not at all
        assert records == [record(number) for number in range(1, journal.number + 1)]
        assert journal.cut == 0
        assert records[-1].key == f"key-{journal.number}"
        before = journal.number
        journal.close()


def test_a_killed_engine_has_all_that_it_acknowledged(
    forking: Any, tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    generator = random.Random(2)
    data = tmp_path / "data"
    acknowledged: dict[str, int] = {}
    replayed = Engine.open(tiny_bundle.folder)
    for kill in range(ENGINE_KILLS):
        writers = [f"w{kill}.{thread}" for thread in range(WRITERS)]
        with doomed(forking, change_for_ever, tiny_bundle.folder, data, writers) as reports:
            seen = reports_until_killed(reports, generator, most=160, seconds=0.03)
        seen += rest(reports)
        acknowledged |= {key: version for version, key in seen if key}
        with Engine.open(tiny_bundle.folder, data=data) as engine:
            assert engine.state.version >= max(version for version, _ in seen)
            for key, version in acknowledged.items():
                known = engine.writer.keys.find(key)
                assert known is not None
                assert known.number == version
            for writer in writers:
                applied = batches_of(engine, writer)
                retry(engine, writer, applied)
                for number in range(applied + 1):
                    replayed.apply(batch(writer, number))
            assert engine.state.version == replayed.state.version
            if kill % COMPARED_EVERY == 0 or kill == ENGINE_KILLS - 1:
                worst = largest_difference(engine, replayed, tiny_bundle)
                logger.info(
                    "%d kills, %d acknowledged batches, %d nodes after %s, worst difference %.1e",
                    kill + 1,
                    len(acknowledged),
                    engine.state.graph.num_nodes,
                    engine.writer.log.snapshot or "no snapshot",
                    worst,
                )
                assert worst <= 1e-4


def test_engines_on_one_folder_lose_nothing_when_some_are_killed(
    forking: Any, tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    """Three write; one after the other is killed, while those that are left go on."""
    generator = random.Random(3)
    data = tmp_path / "data"
    acknowledged: dict[str, int] = {}
    everybody: list[str] = []
    for kill in range(SHARED_KILLS):
        with ExitStack() as stack:
            running = []
            for child in range(3):
                names = [f"s{kill}.{child}.{thread}" for thread in range(2)]
                everybody += names
                arguments = (change_for_ever, tiny_bundle.folder, data, names)
                running.append(stack.enter_context(doomed(forking, *arguments)))
            for reports in generator.sample(running, 3):
                seen = reports_until_killed(reports, generator, most=60, seconds=0.03)
                kill_reporter(reports)
                acknowledged |= {key: version for version, key in [*seen, *rest(reports)] if key}
        with (
            Engine.open(tiny_bundle.folder, data=data) as engine,
            Engine.open(tiny_bundle.folder, data=data) as other,
        ):
            assert len(set(acknowledged.values())) == len(acknowledged)
            for key, version in acknowledged.items():
                known = engine.writer.keys.find(key)
                assert known is not None
                assert known.number == version
            expected = {f"node-{number}" for number in range(NODES)}
            for writer in everybody:
                applied = batches_of(engine, writer)
                gone = {number - 2 for number in range(applied) if number % 3 == 2}
                expected |= {f"{writer}-{number}" for number in set(range(applied)) - gone}
            assert ids_of(engine) == expected
            assert largest_difference(engine, other, tiny_bundle) <= 1e-4


def retry(engine: Engine, writer: str, applied: int) -> None:
    """What a client does that lost its answers: all are sent again, and the one on its way."""
    for number in [*range(max(applied - 3, 0), applied), applied, applied]:
        key = f"{writer}-{number}"
        known = engine.writer.keys.find(key)
        again = engine.apply(batch(writer, number), key)
        assert again.repeated == (known is not None)
        assert again.version == (engine.state.version if known is None else known.number)


def batches_of(engine: Engine, writer: str) -> int:
    """How many batches of a writer the journal knows; they are its first ones."""
    number = 0
    while engine.writer.keys.find(f"{writer}-{number}") is not None:
        number += 1
    return number


def largest_difference(engine: Engine, replayed: Engine, bundle: TinyBundle) -> float:
    """Of activations and logits to those of the graph, which is what the batches give unkilled."""
    found, expected = to_text_graph(engine.state.graph), to_text_graph(replayed.state.graph)
    assert described(found) == described(expected)
    rows = engine.state.graph.live_rows()
    references = reference_activations(bundle.weights, found)
    stored = [engine.state.activations(layer, rows) for layer in range(len(references) - 1)]
    pairs = zip([*stored, engine.state.logits(rows)], references, strict=True)
    return max(float(np.abs(one - other).max()) for one, other in pairs)


def test_the_journal_is_where_the_engine_looks(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        assert engine.durable
        assert (tmp_path / JOURNAL_FILE).is_file()
