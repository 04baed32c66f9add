"""The application: the parts of the service put together, its routes and its lifespan."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi.openapi.docs import get_swagger_ui_html
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from service.errors import RequestError
from service.http.access import Access
from service.http.errors import CODE_OF_STATUS, error_response, failure_response
from service.http.gateway import Gateway
from service.http.guard import Clients, Guard, Hosts
from service.http.io import JSON
from service.http.paths import decode_part, use_sent_path
from service.http.role_table import role_table
from service.messages import ErrorDetail, encode
from service.parts import Parts, build_parts
from service.routes.endpoints import Endpoint, PathEndpoint
from service.routes.openapi import TITLE, document
from service.routes.operations import Operation
from service.settings import Settings
from understudy.engine.engine import Engine
from understudy.engine.errors import SHOWN_CHARACTERS


class Service(Gateway):
    """The whole application, with the parts that a server's process steers."""

    parts: Parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        use_sent_path(scope)
        await super().__call__(scope, receive, send)

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
    endpoints = {(o.method, o.path): Endpoint(o, parts.aside) for o in operations}
    service = Service(
        build_router(operations, endpoints, parts),
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


def build_router(
    operations: Sequence[Operation],
    endpoints: dict[tuple[str, str], Endpoint],
    parts: Parts,
) -> Starlette:
    """The routes of all operations, of the metrics and of the documentation."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await parts.health.check()
        yield
        await parts.close()

    async def describe(request: Request) -> Response:
        engine, root_path = parts.slot.engine, root_path_of(request)
        content = await parts.aside.run(lambda: encode(document(operations, engine, root_path)))
        return Response(content, media_type=JSON)

    async def try_out(request: Request) -> Response:
        return get_swagger_ui_html(openapi_url=f"{root_path_of(request)}/openapi.json", title=TITLE)

    paths: dict[str, dict[str, Endpoint]] = {}
    for (method, path), endpoint in endpoints.items():
        paths.setdefault(path, {})[method] = endpoint
    app = Starlette(
        routes=[
            *(Route(path, PathEndpoint(own)) for path, own in paths.items()),
            Route("/metrics", parts.render_metrics),
            Route("/openapi.json", describe),
            Route("/docs", try_out),
        ],
        lifespan=lifespan,
        exception_handlers={HTTPException: answer_routing_error, Exception: answer_failure},
    )
    app.router.redirect_slashes = False
    return app


def root_path_of(request: Request) -> str:
    return str(request.scope.get("root_path", ""))


async def answer_failure(request: Request, error: Exception) -> Response:
    """Answers; the exception then goes on to the gateway, which logs it."""
    return failure_response(error, request.url.path)


async def answer_routing_error(request: Request, error: Any) -> Response:
    """Unknown paths and wrong methods, in the same body as every other error.

    Raises:
        MalformedPathError: no path at all was sent.
    """
    path = decode_part(request.scope["path"])
    message = f"{request.method} {path[:SHOWN_CHARACTERS]}: {error.detail}; see /docs"
    detail = ErrorDetail(CODE_OF_STATUS.get(error.status_code, RequestError.code), message)
    headers = dict(error.headers or {})
    if allowed := headers.pop("Allow", None):
        headers["allow"] = ", ".join(sorted(allowed.split(", ")))
    return error_response(error.status_code, detail, path, headers)
