"""Readiness follows real inferences."""

import asyncio
from threading import Event

import httpx
import pytest

from service.app import create_app
from service.settings import Settings
from service.telemetry.health import Health
from tests.bundles import TinyBundle
from understudy.engine import Engine
from understudy.engine.errors import (
    InferenceError,
    JournalFailedError,
    LogUnavailableError,
    NotReadyError,
)


def test_a_passed_probe_vouches_for_a_while() -> None:
    probes = 0

    async def probe() -> None:
        nonlocal probes
        probes += 1

    async def check_twice(valid_seconds: float) -> int:
        health = Health(probe, valid_seconds, timeout_seconds=5)
        await health.check()
        await health.check()
        return probes

    assert asyncio.run(check_twice(valid_seconds=60)) == 1
    assert asyncio.run(check_twice(valid_seconds=0)) == 3


def test_a_failed_probe_is_not_ready_and_a_later_one_may_be() -> None:
    outcomes: list[Exception | None] = [InferenceError("broken"), None]

    async def probe() -> None:
        if outcome := outcomes.pop(0):
            raise outcome

    async def check() -> None:
        health = Health(probe, valid_seconds=60, timeout_seconds=5)
        with pytest.raises(NotReadyError, match="failed"):
            await health.check()
        await health.check()

    asyncio.run(check())


def test_a_hanging_probe_is_not_ready_and_not_started_twice() -> None:
    started = 0

    async def check() -> None:
        release = asyncio.Event()

        async def probe() -> None:
            nonlocal started
            started += 1
            await release.wait()

        health = Health(probe, valid_seconds=60, timeout_seconds=0.01)
        for _ in range(3):
            with pytest.raises(NotReadyError, match="in time"):
                await health.check()
        release.set()
        await health.check()

    asyncio.run(check())
    assert started == 1


def test_an_ending_service_is_not_ready_although_a_probe_passed() -> None:
    async def probe() -> None:
        pass

    async def check() -> None:
        health = Health(probe, valid_seconds=60, timeout_seconds=5)
        await health.check()
        health.ending = True
        with pytest.raises(NotReadyError, match="shutting down"):
            await health.check()

    asyncio.run(check())


def test_who_is_too_far_behind_the_log_is_not_ready() -> None:
    lag = [1.0, 5.5, 1.0]

    async def probe() -> None:
        """Passes."""

    async def check() -> None:
        health = Health(probe, 60, 5, lambda: lag.pop(0), max_lag_seconds=5)
        await health.check()
        with pytest.raises(NotReadyError, match=r"5\.5 s behind the log"):
            await health.check()
        await health.check()
        await Health(probe, 60, 5, lambda: 1e9).check()

    asyncio.run(check())


def test_a_log_that_is_away_leaves_all_ready_and_one_that_cannot_be_followed_none(
    tiny_bundle: TinyBundle,
) -> None:
    with Engine.open(tiny_bundle.folder) as engine:
        parts = create_app(engine, Settings(probe_seconds=60)).parts

        def reports_ready() -> bool:
            return "understudy_ready 1.0" in parts.metrics.render().decode().splitlines()

        async def check() -> None:
            engine.writer.failure = LogUnavailableError("it is away")
            await parts.health.check()
            assert reports_ready()
            engine.writer.failure = JournalFailedError("it is gone")
            assert not reports_ready()  # whoever asked last for readiness
            with pytest.raises(NotReadyError, match="changes cannot be followed; see the log"):
                await parts.health.check()
            engine.writer.failure = None
            await parts.health.check()

        asyncio.run(check())


def test_the_figure_of_readiness_is_what_a_check_would_say() -> None:
    lag = 0.0

    async def probe() -> None:
        """Passes."""

    async def check() -> None:
        nonlocal lag
        health = Health(probe, 60, 5, lambda: lag, max_lag_seconds=5)
        assert not health.ready
        await health.check()
        assert health.ready
        lag = 9.0
        assert not health.ready
        lag = 0.0
        health.ending = True
        assert not health.ready

    asyncio.run(check())


def test_the_metrics_tell_of_inferences_that_fail_or_hang_although_nobody_checks(
    tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, broken = Event(), False

    async def check(engine: Engine) -> None:
        nonlocal broken
        app = create_app(engine, Settings(probe_seconds=0, probe_timeout_seconds=0.2))
        sender = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")

        async def shown(value: float) -> None:
            """Scrapes until readiness has this value."""
            async with asyncio.timeout(20):
                while f"understudy_ready {value}" not in (await sender.get("/metrics")).text:
                    await asyncio.sleep(0)  # a request that waits for nothing does not yield

        await app.parts.health.check()
        broken = True
        await shown(0.0)
        broken = False
        await shown(1.0)
        release.clear()
        try:
            await shown(0.0)
        finally:
            release.set()
        await shown(1.0)

    with Engine.open(tiny_bundle.folder) as engine:
        probe = engine.probe

        def fail_or_hang() -> None:
            release.wait()
            if broken:
                raise InferenceError("the student's networks failed")
            probe()

        monkeypatch.setattr(engine, "probe", fail_or_hang)
        release.set()
        asyncio.run(check(engine))
