"""A reload loses no change; every problem it meets is reported, counted and survived."""

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import ReloadError, ReloadRunningError
from service.inference.current import Reloader, Slot
from service.telemetry.metrics import Metrics
from tests.bundles import TinyBundle, write_tiny_bundle
from tests.unit.engine.changes import assert_exact, ids_of
from understudy.engine import Engine, Node
from understudy.engine.errors import JournalFailedError, NotReadyError
from understudy.engine.updates.writer import Writer
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

    def open_engine(before: Engine) -> Engine:
        opening()
        return Engine.open(folder, before=before)

    return Reloader(Slot(Engine.open(folder)), open_engine, attach, Metrics())


def counted(reloader: Reloader) -> dict[str, float]:
    return {labels[0]: value for labels, value in reloader.metrics.reloads.values.items()}


def change(engine: Engine, name: str = "new") -> None:
    engine.apply([UpsertNode(name, "json")])


def test_changes_go_on_while_the_new_bundle_is_opened(tiny_bundle: TinyBundle) -> None:
    """Before, during and at the swap; none is refused, lost or made twice."""

    async def reload() -> None:
        reloader = reloader_of(tiny_bundle.folder, opening=lambda: change(old, "meanwhile"))
        old = reloader.slot.engine
        change(old, "before")
        with old.writer.lock:  # the writer is busy until the swap waits for it
            waiting = old.submit([UpsertNode("at the swap", "json")])
            running = asyncio.create_task(reloader.reload())
            await asyncio.sleep(0)
        reload = await running
        engine = reloader.slot.engine
        assert engine is reload.engine is not old
        assert waiting.result(60).version in (2, 3)
        engine.apply([UpsertNode("after", "json")])
        assert engine.state.version == 4
        assert ids_of(engine) >= {"before", "meanwhile", "at the swap", "after"}
        assert_exact(engine, tiny_bundle)
        assert len(old.classify([Node(id="node-1")])) == 1  # who reads it may go on
        with pytest.raises(NotReadyError, match="closed"):
            change(old)

    asyncio.run(reload())


def test_a_bundle_of_another_graph_is_refused_with_the_reason(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "bundle").folder
    reloader = reloader_of(folder)
    write_tiny_bundle(folder, label_names=("a", "b", "c", "d"))
    with pytest.raises(ReloadError, match=r"is of the graph .* the served graph is"):
        asyncio.run(reloader.reload())
    change(reloader.slot.engine)


def test_a_bundle_that_fails_at_the_swap_leaves_the_old_one(
    tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    reloader = reloader_of(tiny_bundle.folder)
    old = reloader.slot.engine

    def fails(*_: object) -> None:
        raise JournalFailedError("the log is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "hand_over", fails)
        with pytest.raises(ReloadError, match="the old bundle stays in service"):
            asyncio.run(reloader.reload())
    assert reloader.slot.engine is old
    change(old)


def test_a_bundle_that_cannot_be_attached_leaves_the_old_one_writable(
    tiny_bundle: TinyBundle,
) -> None:
    def fails(_: Engine) -> None:
        raise RuntimeError("a defect of ours")

    reloader = reloader_of(tiny_bundle.folder, attach=fails)
    with pytest.raises(ReloadError, match="the old bundle stays in service"):
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


def removed(folder: Path) -> None:
    folder.rename(folder.with_name("removed"))


def newer(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"schema_version": "1.', '"schema_version": "9.'))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (removed, "bundle is not a bundle"),
        (no_utf8, "bundle: manifest.json is not UTF-8"),
        (newer, "bundle: the bundle has schema 9"),
    ],
)
def test_who_reloads_is_told_what_is_wrong_and_not_where_it_lies(
    tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    folder = write_tiny_bundle(tmp_path / "bundle").folder
    reloader = reloader_of(folder)
    damage(folder)
    with pytest.raises(ReloadError) as refused:
        asyncio.run(reloader.reload())
    assert f"the old bundle stays in service: {reason}" in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


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
    with pytest.raises(ReloadError, match="the old bundle stays in service"):
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


def test_a_signal_during_a_reload_opens_the_folder_once_more(tiny_bundle: TinyBundle) -> None:
    """What lies there now may have been put there after the running one had read it."""
    opened: list[int] = []

    async def several() -> None:
        going_on = threading.Event()

        def opening() -> None:
            opened.append(len(opened))
            loop.call_soon_threadsafe(begun.set)
            assert going_on.wait(60)

        loop, begun = asyncio.get_running_loop(), asyncio.Event()
        reloader = reloader_of(tiny_bundle.folder, opening=opening)
        first = asyncio.create_task(reloader.reload())
        await begun.wait()
        for _ in range(3):
            reloader.reload_in_background()
        going_on.set()
        await first
        await reloader.task
        assert counted(reloader) == {"done": 2}

    asyncio.run(several())
    assert opened == [0, 1]
