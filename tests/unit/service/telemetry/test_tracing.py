"""One span per request, in the caller's trace."""

import asyncio

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.app import create_app
from service.settings import Settings
from service.telemetry.tracing import VARIABLES, Tracer, open_tracer
from tests.bundles import TinyBundle
from understudy.engine import Engine

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_without_an_exporter_there_is_no_tracer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert open_tracer() is None


def test_a_request_is_a_span_of_its_callers_trace(tiny_bundle: TinyBundle) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def ask() -> None:
        app = create_app(Engine.open(tiny_bundle.folder), Settings())
        app.tracer = Tracer(provider)
        transport = httpx.ASGITransport(app)
        headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "x-request-id": "r-7"}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await client.post("/classify", json={"nodes": [{"id": "node-1"}]}, headers=headers)

    asyncio.run(ask())
    (span,) = exporter.get_finished_spans()
    assert span.name == "POST classify"
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == TRACE
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["understudy.request_id"] == "r-7"
