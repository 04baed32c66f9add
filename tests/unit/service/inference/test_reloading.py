"""A reload loses no change, and whatever it meets is told, counted and survived."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import ReloadError, ReloadRunningError
from service.inference.current import Reloader, Slot
from service.telemetry.metrics import Metrics
from tests.bundles import TinyBundle, write_tiny_bundle
from understudy.engine import Engine, Node
from understudy.engine.errors import NotReadyError
from understudy.graph.mutations import UpsertNode


def reloader_of(
    folder: Path,
    opening: Callable[[], None] = lambda: None,
    attach: Callable[[Engine], None] = lambda _: None,
) -> Reloader:
    """Of a service that serves a folder.

    Args:
        opening: called before a bundle is opened again.
    """

    def open_engine() -> Engine:
        opening()
        return Engine.open(folder)

    return Reloader(Slot(Engine.open(folder)), open_engine, attach, Metrics())


def counted(reloader: Reloader) -> dict[str, float]:
    return {labels[0]: value for labels, value in reloader.metrics.reloads.values.items()}


def change(engine: Engine, name: str = "new") -> None:
    engine.apply([UpsertNode(name, "json")])


def test_a_change_while_the_new_bundle_is_opened_stops_the_reload(tiny_bundle: TinyBundle) -> None:
    reloader = reloader_of(tiny_bundle.folder, opening=lambda: change(old))
    old = reloader.slot.engine
    with pytest.raises(ReloadError, match="changed 1 times"):
        asyncio.run(reloader.reload())
    assert reloader.slot.engine is old
    change(old, "another")  # it takes changes again
    assert old.state.version == 2
    assert counted(reloader) == {"failed": 1}


def test_a_change_on_its_way_is_kept_or_refused(tiny_bundle: TinyBundle) -> None:
    """While one is being carried out, the reload waits; then it is seen. Others are refused."""

    async def reload() -> None:
        reloader = reloader_of(tiny_bundle.folder)
        old = reloader.slot.engine
        with old.writer.lock:  # the writer is busy
            running = asyncio.create_task(reloader.reload())
            while not old.writer.sealed:
                await asyncio.sleep(0)
            with pytest.raises(NotReadyError):
                change(old)
        reload = await running
        assert reload.engine is reloader.slot.engine is not old
        with pytest.raises(NotReadyError) as late:  # of a request that holds the old engine
            change(old)
        assert late.value.retry_after == 1.0
        change(reload.engine)
        assert len(old.classify([Node(id="node-1")])) == 1  # who reads it may go on

    asyncio.run(reload())


def test_a_bundle_that_cannot_be_attached_leaves_the_old_one_writable(
    tiny_bundle: TinyBundle,
) -> None:
    def fails(_: Engine) -> None:
        raise RuntimeError("a defect of ours")

    reloader = reloader_of(tiny_bundle.folder, attach=fails)
    with pytest.raises(ReloadError, match="the old bundle goes on"):
        asyncio.run(reloader.reload())
    change(reloader.slot.engine)


def no_utf8(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"tiny", b"t\xefny", 1))


def a_folder(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").mkdir()


def nested(folder: Path) -> None:
    (folder / "manifest.json").write_text("[" * 100_000)


@pytest.mark.parametrize("damage", [no_utf8, a_folder, nested])
def test_every_failure_is_counted_and_in_the_log(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_tiny_bundle(tmp_path / "bundle").folder
    reloader = reloader_of(folder)
    damage(folder)

    async def on_signal() -> None:
        reloader.reload_in_background()
        await reloader.task

    with caplog.at_level(logging.ERROR):
        asyncio.run(on_signal())
    assert "reload refused" in caplog.text
    assert "Traceback" not in caplog.text
    assert counted(reloader) == {"failed": 1}
    with pytest.raises(ReloadError, match="the old bundle goes on"):
        asyncio.run(reloader.reload())
    change(reloader.slot.engine)


def test_an_unforeseen_failure_is_counted_and_in_the_log_with_its_place(
    tiny_bundle: TinyBundle, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise ZeroDivisionError("a defect of ours")

    reloader = reloader_of(tiny_bundle.folder, opening=fails)

    async def on_signal() -> None:
        reloader.reload_in_background()
        await reloader.task

    with caplog.at_level(logging.ERROR):
        asyncio.run(on_signal())
    assert "a defect of ours" in caplog.text
    assert "Traceback" in caplog.text
    assert counted(reloader) == {"failed": 1}


def test_one_reload_at_a_time(tiny_bundle: TinyBundle) -> None:
    async def both() -> None:
        reloader = reloader_of(tiny_bundle.folder)
        first = asyncio.create_task(reloader.reload())
        await asyncio.sleep(0)
        with pytest.raises(ReloadRunningError):
            await reloader.reload()
        assert await first
        assert counted(reloader) == {"done": 1}

    asyncio.run(both())
