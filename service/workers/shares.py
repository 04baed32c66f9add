"""Divides the settings' limits among workers."""

import os
from collections.abc import Iterator
from math import ceil

from service.errors import SettingsError
from service.settings import Settings
from service.unread_settings import unread

MOST_A_CORE = 16  # workers per core; more is a mistake, and would overload the machine


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def share_of(settings: Settings, available: int) -> Settings:
    """Returns the settings of one worker: limits of the whole service are divided.

    A rate limit counted in Redis is not divided, since all workers share the count.

    Args:
        available: number of cores.
    """
    number = settings.workers
    share: dict[str, object] = {
        "threads": threads_of(settings, available),
        "cache_memory_bytes": settings.cache_memory_bytes // number,
        "cached_embeddings": ceil(settings.cached_embeddings / number),
        "teacher_concurrency": max(settings.teacher_concurrency // number, 1),
    }
    if not settings.redis_url:
        share["rate_limit"] = settings.rate_limit / number
        share["rate_burst"] = ceil(settings.rate_burst / number)
    return settings.model_copy(update=share)


def threads_of(settings: Settings, available: int) -> int:
    """Limits the threads of one inference, so that all workers together do not exceed the cores."""
    return max(min(settings.threads, available // settings.workers), 1)


def remarks(settings: Settings, available: int) -> Iterator[str]:
    """Yields warnings about settings of processes, and about unread ones, one per line.

    Raises:
        SettingsError: the teacher's concurrency is less than the number of workers, or there are
            far more workers than cores.
    """
    yield from unread(settings)
    number, threads = settings.workers, threads_of(settings, available)
    if number > MOST_A_CORE * available:
        raise SettingsError(
            f"--workers {number} is far more than the {available} cores that this process may use: "
            f"at most {MOST_A_CORE} per core are allowed",
            setting="workers",
        )
    if number > available:
        yield (
            f"--workers {number} is more than the {available} cores that this process may use: "
            "this is not faster than one worker per core"
        )
    if threads < settings.threads:
        who = "this process may use" if number == 1 else f"{number} workers share"
        yield f"--threads {threads} instead of {settings.threads}: {who} {available} cores"
    if settings.rate_limit and not settings.redis_url and number > 1:
        yield (
            f"each worker allows a caller {settings.rate_limit / number:g} requests per second, so "
            "that all workers together allow --rate-limit; a caller with one connection reaches "
            "only one worker. With --redis-url the limit is exact"
        )
    if settings.teacher_url and settings.teacher_concurrency < number:
        raise SettingsError(
            f"--teacher-concurrency {settings.teacher_concurrency} is less than --workers "
            f"{number}: each worker asks the teacher by itself",
            setting="teacher_concurrency",
        )
