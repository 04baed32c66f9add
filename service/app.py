"""The application: joins the parts of the service with its routes and its lifespan."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from service.errors import InvalidFieldError, RequestError, SettingsError
from service.http.access import Key, Role, default_role
from service.http.errors import CODE_OF_STATUS, error_response, failure_response
from service.http.exchange import SCOPE_KEY, Exchange
from service.http.gateway import Gateway, Guard
from service.http.guard import Hosts
from service.mcp import PATH as MCP_PATH
from service.messages import ErrorDetail
from service.parts import Parts, build_parts
from service.routes import (
    admin,
    browse,
    classify,
    decisions,
    graph,
    inference_protocol,
    page,
    vectors,
    whole_graph,
)
from service.routes.dependencies import decode_part
from service.routes.structs import Document, StructRoute
from service.settings import Settings
from service.workers.team import Team
from understudy.engine.engine import Engine
from understudy.engine.errors import SHOWN_CHARACTERS

Lifespan = Callable[[], AbstractAsyncContextManager[None]]


class Service(Gateway):
    """The whole application, with the parts that a server process controls."""

    parts: Parts

    def drain(self) -> None:
        """Reports not ready from now on, and closes each connection after its answer."""
        self.draining = True
        self.parts.health.ending = True


def create_app(
    engine: Engine,
    settings: Settings,
    open_engine: Callable[[Engine], Engine] | None = None,
    team: Team | None = None,
    keys: Sequence[Key] | None = None,
) -> Service:
    """Builds the service around an engine that is loaded and has passed its probe inference.

    Args:
        open_engine: opens the bundle again for a reload, given the served engine.
        team: the team of workers that this process belongs to.
        keys: the accepted API keys; None: those of the settings' key file.

    Raises:
        SettingsError: the keys cannot be read, or a setting is wrong.
    """
    parts = build_parts(engine, settings, open_engine, team, keys)
    direct: dict[tuple[str, str], ASGIApp] = {
        ("POST", "/classify"): classify.direct(parts),
        **graph.direct(parts),
        **decisions.direct(parts),
    }
    lifespans: list[Lifespan] = []
    if settings.mcp:
        from service.mcp.server import Endpoint

        endpoint = Endpoint(parts, settings.max_body_bytes)
        direct |= {(method, MCP_PATH): endpoint for method in METHODS}
        lifespans.append(endpoint.running)
    app = build_application(parts, settings.page, lifespans)
    service = Service(
        app,
        settings.max_body_bytes,
        direct=direct,
        metrics=parts.metrics,
        executor=parts.executor,
        log_answers=settings.log_requests,
        tracer=parts.tracer,
        guard=Guard(None if parts.access.keys else Hosts(settings.host, settings.hosts)),
        root_path=settings.root_path,
    )
    service.parts = parts
    parts.metrics.gauge("running_requests", "Requests in progress.", lambda: service.running)
    return service


def build_application(parts: Parts, with_page: bool, lifespans: Sequence[Lifespan] = ()) -> FastAPI:
    """Builds the FastAPI application with all routes, the OpenAPI document and error handlers.

    Args:
        with_page: whether to add the web page.
        lifespans: run as long as the application, and end before its parts are closed.
    """
    own = PAGE_ROUTES if with_page else []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await parts.health.check()
        parts.begin()
        async with AsyncExitStack() as running:
            for each in lifespans:
                await running.enter_async_context(each())
            yield
        await parts.close()

    app = FastAPI(
        routes=[
            *ROUTES,
            *own,
        ],  # flat, because FastAPI searches the routes of an included router several times
        openapi_url=None,  # our own document has examples of the served graph
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        exception_handlers={
            HTTPException: answer_routing_error,
            RequestValidationError: answer_invalid_parameter,
            Exception: answer_failure,
        },
    )
    app.state.parts = parts
    app.state.document = Document(STRUCT_ROUTES, [room.examples for room in ROOMS])
    return app


async def answer_failure(request: Request, error: Exception) -> Response:
    """Answers a failure; the exception is then raised again for the gateway, which logs it."""
    return failure_response(error, request.url.path)


async def answer_invalid_parameter(_: Request, error: Any) -> Response:
    """Turns an invalid path or query parameter into the error of every other invalid field.

    Raises:
        InvalidFieldError: it names the parameter.
    """
    first = error.errors()[0]
    raise InvalidFieldError(str(first["loc"][-1]), first["msg"][:1].lower() + first["msg"][1:])


async def answer_routing_error(request: Request, error: Any) -> Response:
    """Answers unknown paths and wrong methods with the body of every other error.

    Raises:
        AccessError, RateLimitedError: the caller may not learn which paths exist.
        MalformedPathError: the request has no valid path.
    """
    exchange: Exchange = request.scope[SCOPE_KEY]
    method, sent = exchange.scope["method"], request.scope["path"]
    role = Role.read if beginning(sent) in BEGINNINGS else default_role(method)
    await request.app.state.parts.access.check(role, request.scope, exchange)
    path = decode_part(sent)
    headers, advice = {}, "see /docs"
    if error.status_code == 405:
        headers["allow"] = ", ".join(sorted(allowed_methods(request.app.routes, sent)))
        advice = f"allowed here: {headers['allow']}; {advice}"
    message = f"{method} {path[:SHOWN_CHARACTERS]}: {error.detail}; {advice}"
    detail = ErrorDetail(CODE_OF_STATUS.get(error.status_code, RequestError.code), message)
    return error_response(error.status_code, detail, path, headers)


def allowed_methods(routes: Iterable[APIRoute], path: str) -> set[str]:
    """Finds the methods that a path accepts."""
    allowed = {m for route in routes if route.path_regex.match(path) for m in route.methods or ()}
    return allowed | {"HEAD"} if "GET" in allowed else allowed


def check_root(root_path: str) -> None:
    """Refuses a root path that overlaps the service's own routes, which would be ambiguous.

    Raises:
        SettingsError: a route has this path, or lies below it.
    """
    below = f"{root_path}/"
    taken = any(
        route.path.startswith(below) or route.path_regex.match(path)
        for route in (*ROUTES, *PAGE_ROUTES)
        for path in (root_path, f"{below}x")
    )
    if root_path and (taken or root_path == MCP_PATH):
        raise SettingsError(
            f"--root-path is {root_path!r}, but the service has its own routes there; choose "
            "another, such as /understudy",
            setting="root_path",
        )


def beginning(path: str) -> str:
    """Returns the first segment of a path."""
    return path.lstrip("/").partition("/")[0]


ROOMS = (classify, decisions, inference_protocol, vectors, graph, browse, admin)
ROUTERS = [*(room.router for room in ROOMS), admin.beside, whole_graph.router, page.reference]
ROUTES = [r for router in ROUTERS for r in router.routes if isinstance(r, APIRoute)]
PAGE_ROUTES = [r for r in page.page.routes if isinstance(r, APIRoute)]
STRUCT_ROUTES = [route for route in ROUTES if isinstance(route, StructRoute)]
# Methods of the MCP path; it answers one of them and refuses the others by itself.
METHODS = ("POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
# First segments of known paths: for an unknown path that starts with one, any key gets a 404.
BEGINNINGS = {beginning(route.path) for route in STRUCT_ROUTES} | {"graph", "metrics", "page"}
