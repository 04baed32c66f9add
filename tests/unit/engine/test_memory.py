"""Unread versions and closed engines are freed at once, without the cyclic collector."""

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any
from weakref import ref

import pytest

from service.app import create_app
from service.errors import ReloadError
from service.inference.batcher import Batcher, BatchOptions
from service.inference.current import Reloader, Slot
from service.settings import Settings
from service.telemetry.metrics import Metrics
from tests.bundles import NODES, TinyBundle, write_tiny_bundle
from understudy.bundle import BundleDamagedError
from understudy.engine import Engine, Node
from understudy.engine.errors import InferenceError, MutationTargetError
from understudy.graph.mutable.versions import Version, VersionedTable
from understudy.graph.mutations import AddEdge, RemoveEdge, UpsertNode

CHANGES = 300
RELOADS = 20
EDGE = ("node-0", f"node-{NODES - 1}")
UNSEEN = [Node(text="http socket", neighbors=("node-1",))]


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Only what nobody refers to is freed: cycles stay."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def change(engine: Engine, times: int) -> None:
    for number in range(times):
        engine.apply([AddEdge(*EDGE) if number % 2 == 0 else RemoveEdge(*EDGE)])


def watched(table: VersionedTable) -> tuple[ref[VersionedTable], Event]:
    """A reference that keeps nothing, and an event that is set when it is dead."""
    gone = Event()
    return ref(table, lambda _: gone.set()), gone


def versions() -> int:
    return sum(type(thing) is Version for thing in gc.get_objects())


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("fails", [False, True])
def test_a_request_keeps_no_version(
    tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    engine = Engine.open(tiny_bundle.folder)
    before = versions()

    async def ask() -> None:
        batcher = Batcher(BatchOptions(), Metrics())

        async def classify() -> None:
            resolution = engine.resolve(UNSEEN * 2)
            if fails:
                with pytest.raises(InferenceError):
                    await batcher.infer(engine, resolution)
            else:
                await batcher.infer(engine, resolution)

        with monkeypatch.context() as patch:
            if fails:
                patch.setattr(engine.student.layers[0], "outputs", ["no such output"])
            await classify()
        asked = ref(engine.state.graph.version)
        await asyncio.to_thread(change, engine, CHANGES)
        assert asked() is None
        assert versions() <= before + 2
        await batcher.close()

    asyncio.run(ask())


@pytest.mark.usefixtures("uncollected")
def test_a_refused_change_keeps_no_version(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        for _ in range(5):
            asked = ref(engine.state.graph.version)
            with pytest.raises(MutationTargetError):
                engine.apply([AddEdge("node-1", "nobody")])
            with pytest.raises(MutationTargetError):
                engine.submit([AddEdge("node-1", "nobody")]).result(60)
            engine.snapshot()
            engine.apply([UpsertNode("node-1", f"json {engine.state.version}")])
            assert asked() is None


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("encoder", ["hashing", "minilm"])
def test_an_engine_goes_with_its_last_reader(tmp_path: Path, encoder: str) -> None:
    folder = write_tiny_bundle(tmp_path / "bundle", encoder).folder
    for closes in (True, False):
        engine = Engine.open(folder, data=tmp_path / "data" if closes else None)
        engine.classify(UNSEEN)
        change(engine, 3)
        thread = engine.maintenance.thread
        assert thread is not None
        parts: list[ref[Any]] = [ref(engine), ref(engine.writer), ref(engine.student.layers[0])]
        parts.append(ref(engine.state.tables.logits))
        if closes:
            engine.close()
        del engine
        assert [part() for part in parts] == [None] * len(parts)
        thread.join(60)  # it ends with the engine
        assert not thread.is_alive()


@pytest.mark.usefixtures("uncollected")
def test_reloads_leave_one_engine(tiny_bundle: TinyBundle) -> None:
    settings = Settings()

    def open_engine(before: Engine | None = None) -> Engine:
        return Engine.open(tiny_bundle.folder, before=before)

    async def reload() -> None:
        parts = create_app(open_engine(), settings, open_engine).parts
        for _ in range(RELOADS):
            table, gone = watched(parts.slot.engine.state.tables.logits)
            resolution = parts.slot.engine.resolve(UNSEEN)
            await parts.batcher.infer(parts.slot.engine, resolution)
            del resolution
            await parts.reloader.reload()
            assert await asyncio.to_thread(gone.wait, 20)  # the thread that closed it lets go
            assert table() is None
        await parts.close()

    asyncio.run(reload())


@pytest.mark.usefixtures("uncollected")
def test_a_reload_that_fails_leaves_nothing_and_the_old_one_goes_on(
    tiny_bundle: TinyBundle,
) -> None:
    opened: list[ref[Engine]] = []

    def open_engine(before: Engine | None = None) -> Engine:
        engine = Engine.open(tiny_bundle.folder, before=before)
        opened.append(ref(engine))
        return engine

    def attach(_: Engine) -> None:
        raise BundleDamagedError("it does not fit")

    async def reload() -> None:
        slot = Slot(open_engine())
        reloader = Reloader(slot, open_engine, attach, Metrics())
        with pytest.raises(ReloadError):
            await reloader.reload()
        assert slot.engine is opened[0]()
        assert slot.engine.apply([UpsertNode("new", "json")]).version == 1

    asyncio.run(reload())
    assert [engine() for engine in opened] == [None, None]


@pytest.mark.usefixtures("uncollected")
def test_an_engine_that_nobody_closes_ends_its_threads(tiny_bundle: TinyBundle) -> None:
    engine = Engine.open(tiny_bundle.folder)
    change(engine, 1)
    thread = engine.maintenance.thread
    assert thread is not None
    del engine
    thread.join(60)
    assert not thread.is_alive()
