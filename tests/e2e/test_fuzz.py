"""Random requests, good and bad, made from the OpenAPI document: no 500, no hang, no leak.

UNDERSTUDY_TEST_REQUESTS sets how many; the default is a sample for every run of the tests.
"""

import os
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode

from tests.bundles import TinyBundle
from tests.e2e.conftest import Service, serving

REQUESTS = int(os.environ.get("UNDERSTUDY_TEST_REQUESTS", "300"))
LEAK_BYTES = 64 * 2**20
SECONDS = 10


@pytest.fixture(scope="module")
def target(tiny_bundle: TinyBundle) -> Iterator[Service]:
    with serving(tiny_bundle.folder, "--max-body-bytes", "1000000") as running:
        yield running


@pytest.mark.timeout(3_000)
def test_no_request_breaks_the_service(target: Service) -> None:
    schema = schemathesis.openapi.from_url(f"{target.url}/openapi.json")
    operations: list[Any] = [found.ok() for found in schema.get_all_operations()]
    with_body = [operation for operation in operations if operation.body]
    each = -(-REQUESTS // (2 * len(with_body)))  # as many good ones as bad ones
    process = psutil.Process(target.process.pid)
    statuses: dict[int, int] = {}
    before = 0
    for operation in with_body:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @seed(7)
            @settings(
                max_examples=each,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def send(case: Any) -> None:
                response = case.call(timeout=SECONDS)
                statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
                assert response.status_code < 500, (case.as_curl_command(), response.text)
                if response.status_code >= 400 and response.content:
                    assert is_told(case.path, response.json())

            send()
        before = before or process.memory_info().rss  # once everything is loaded
    assert sum(statuses.values()) >= REQUESTS * 0.9
    assert process.memory_info().rss - before < LEAK_BYTES
    assert target.client.get("/health/ready").status_code == 200
    assert target.process.poll() is None


def is_told(path: str, body: Any) -> bool:
    """Whether an error is in the form of its path."""
    if path == "/v1/systemone":
        return bool(body["detail"])
    return bool(body["error"] if path.startswith("/v2") else body["error"]["code"])
