"""OpenTelemetry traces, if an exporter is configured by its standard variables."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from service.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Tracer:
    """Makes one span per request, a child of the caller's span if one was sent."""

    def __init__(self, provider: "TracerProvider") -> None:
        self.provider = provider
        self.tracer = provider.get_tracer("understudy")

    def span(self, name: str, headers: Mapping[str, str]) -> AbstractContextManager["Span"]:
        """Starts the span of a request.

        Args:
            headers: of the request; `traceparent` names the caller's span.
        """
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        parent = TraceContextTextMapPropagator().extract(headers)
        return self.tracer.start_as_current_span(name, parent, kind=SpanKind.SERVER)

    def close(self) -> None:
        """Exports the remaining spans."""
        self.provider.shutdown()


def open_tracer() -> Tracer | None:
    """Opens a tracer, if an exporter is configured.

    Raises:
        SettingsError: an exporter is configured, but the extra `tracing` is not installed.
    """
    if not any(os.environ.get(name) for name in VARIABLES):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            "an OpenTelemetry exporter is configured, but OpenTelemetry is not installed: "
            "pip install 'understudy-gnn[tracing]'"
        ) from error
    name = os.environ.get("OTEL_SERVICE_NAME", "understudy")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracer(provider)
