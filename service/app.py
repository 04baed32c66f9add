"""The application: the parts of the service put together, its routes and its lifespan."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.access import Access
from service.addresses import Clients
from service.answers import error_response, failure_response
from service.engine import Engine
from service.errors import SHOWN_CHARACTERS, RequestError
from service.gateway import Gateway
from service.guard import Guard, Hosts
from service.messages import ErrorDetail
from service.openapi import DESCRIPTION, component_schemas, path_items
from service.operations import Endpoint, Operation
from service.parts import Parts, build_parts
from service.role_table import role_table
from service.settings import Settings
from service.statuses import CODE_OF_STATUS


class Application(FastAPI):
    """FastAPI, for the router and the documentation; its document is the operations'."""

    operations: Sequence[Operation] = ()

    def openapi(self) -> dict[str, Any]:
        """Made anew each time, so that its examples are about what is served now."""
        self.openapi_schema = None
        document = super().openapi()
        document["paths"] = {**path_items(self.operations), **document["paths"]}
        components = document.setdefault("components", {})
        components["schemas"] = component_schemas(self.operations)
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        return document


class Service(Gateway):
    """The whole application, with the parts that a server's process steers."""

    parts: Parts

    def drain(self) -> None:
        """From now on it is not ready, and every answer ends its connection."""
        self.draining = True
        self.parts.health.ending = True


def create_app(
    engine: Engine, settings: Settings, open_engine: Callable[[], Engine] | None = None
) -> Service:
    """Builds the service around an engine that is loaded and has passed its first inference.

    Args:
        open_engine: opens the bundle again, for a reload.

    Raises:
        SettingsError: the keys cannot be read, or a setting is wrong.
    """
    clients = Clients(settings.proxies)
    parts = build_parts(engine, settings, open_engine)
    operations = parts.operations()
    app = build_router(engine, operations, parts)
    endpoints = {(o.method, o.path): Endpoint(o) for o in operations}
    for (method, path), endpoint in endpoints.items():
        app.router.routes.append(Route(path, endpoint, methods=[method]))
    app.router.routes.append(Route("/metrics", parts.render_metrics, methods=["GET"]))
    service = Service(
        app,
        settings.max_body_bytes,
        direct={key: endpoint for key, endpoint in endpoints.items() if "{" not in key[1]},
        metrics=parts.metrics,
        access=Access(parts.keys, parts.limiter, clients),
        role_of=role_table(operations),
        log_answers=settings.log_requests,
        tracer=parts.tracer,
        guard=Guard(None if parts.keys else Hosts(settings.host, settings.hosts)),
        root_path=settings.root_path,
    )
    service.parts = parts
    parts.metrics.gauge("running_requests", "Requests that run.", lambda: service.running)
    return service


def build_router(engine: Engine, operations: Sequence[Operation], parts: Parts) -> Application:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await parts.health.check()
        yield
        await parts.close()

    app = Application(
        title=f"Understudy: {engine.manifest.name}",
        version=engine.model_version,
        description=DESCRIPTION.strip(),
        lifespan=lifespan,
        redirect_slashes=False,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        exception_handlers={
            HTTPException: answer_routing_error,
            Exception: answer_failure,
        },
    )
    app.operations = operations
    return app


async def answer_failure(_: Request, error: Exception) -> Response:
    """Answers; the exception then goes on to the gateway, which logs it."""
    return failure_response(error)


async def answer_routing_error(request: Request, error: Any) -> Response:
    """Unknown paths and wrong methods, in the same body as every other error."""
    message = f"{request.method} {request.url.path[:SHOWN_CHARACTERS]}: {error.detail}; see /docs"
    detail = ErrorDetail(CODE_OF_STATUS.get(error.status_code, RequestError.code), message)
    return error_response(error.status_code, detail, error.headers)
