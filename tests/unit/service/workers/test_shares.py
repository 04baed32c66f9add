"""How settings of the whole service are divided among workers."""

import pytest

from service.errors import SettingsError
from service.settings import Settings
from service.workers.shares import remarks, share_of


def of(**given: object) -> Settings:
    return Settings(_env_file=None, **given)  # type: ignore[call-arg,arg-type]


def test_limits_of_the_service_are_divided_and_those_of_a_process_are_not() -> None:
    whole = of(workers=4, rate_limit=10, rate_burst=6, teacher_concurrency=9)
    share = share_of(whole, available=8)
    assert (share.rate_limit, share.rate_burst, share.teacher_concurrency) == (2.5, 2, 2)
    assert share.cache_memory_bytes * 4 <= whole.cache_memory_bytes
    assert share.queue_tokens == whole.queue_tokens
    assert share.max_connections == whole.max_connections


def test_what_redis_counts_stays_whole() -> None:
    share = share_of(of(workers=2, rate_limit=10, redis_url="redis://127.0.0.1:1"), available=2)
    assert share.rate_limit == 10


@pytest.mark.parametrize(
    ("workers", "threads", "available", "each"),
    [(2, 1, 8, 1), (2, 8, 8, 4), (3, 4, 8, 2), (4, 4, 2, 1), (2, 3, 8, 3), (1, 100_000, 8, 8)],
)
def test_threads_of_all_workers_fit_the_cores(
    workers: int, threads: int, available: int, each: int
) -> None:
    settings = of(workers=workers, threads=threads)
    assert share_of(settings, available).threads == each
    text = " ".join(remarks(settings, available))
    assert (f"--threads {each} instead of {threads}" in text) == (each < threads)
    assert ("not faster" in text) == (workers > available)


def test_far_more_workers_than_cores_are_refused() -> None:
    list(remarks(of(workers=32), available=2))
    with pytest.raises(SettingsError, match="--workers 33 is far more than the 2 cores"):
        list(remarks(of(workers=33), available=2))


def test_a_lone_process_hears_nothing_of_workers() -> None:
    assert list(remarks(of(rate_limit=5, threads=2), available=2)) == []


def test_a_worker_that_may_not_ask_the_teacher_is_refused() -> None:
    settings = of(workers=4, teacher_url="http://127.0.0.1:1/v1", teacher_concurrency=3)
    with pytest.raises(SettingsError, match="--teacher-concurrency 3"):
        list(remarks(settings, available=8))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"teacher_model": "m"}, ["--teacher-model has no effect without --teacher-url"]),
        ({"shadow_share": 0.5}, ["--shadow-share has no effect without --teacher-url"]),
        ({"upstream_key": "k"}, ["--upstream-key has no effect without --upstream-url"]),
        (
            {"auto_threshold": 0.5},
            ["--auto-threshold has no effect without --teacher-url or --upstream-url"],
        ),
        ({"log_records": 9_999}, ["--log-records has no effect without --log"]),
        ({"rate_burst": 5}, ["--rate-burst has no effect without --rate-limit"]),
        ({"teacher_url": "http://127.0.0.1:1/v1", "teacher_model": "m", "shadow_share": 0.5}, []),
        ({"upstream_url": "http://127.0.0.1:1/v1", "auto_threshold": 0.5}, []),
        ({"log": "redis://127.0.0.1:1", "data_folder": "d", "log_wait_disk": True}, []),
    ],
)
def test_settings_that_nothing_reads_are_told(given: dict[str, object], told: list[str]) -> None:
    assert list(remarks(of(**given), available=2)) == told
