"""The outermost layer: request ids, limits, timing, and an answer for every exception."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import AccessError, MalformedHttpError, reason_of
from service.http.access import Access, Role
from service.http.bodies import SerialExecutor
from service.http.errors import OURS_TO_MEND, failure_response, status_of
from service.http.exchange import (
    FAILURE,
    JSON_BYTES,
    MIN_VERSION,
    SCOPE_KEY,
    TIMEOUT,
    UNNAMED,
    EncodedResponse,
    Exchange,
    JsonBody,
)
from service.http.guard import (
    SAFE_METHODS,
    Headers,
    Hosts,
    check_coding,
    check_media_type,
    check_repeated,
)
from service.telemetry.logs import RareLog, current_request
from service.telemetry.metrics import Metrics
from service.telemetry.tracing import Tracer
from understudy.engine.errors import EngineError, NotReadyError

logger = logging.getLogger(__name__)
CUT_OFF = (
    "the service is shutting down, and this was not answered in time: send it again, a change with "
    "the same idempotency key, because it may have been made"
)


@dataclass(frozen=True, slots=True)
class Direct:
    """A route that bypasses FastAPI's router and middleware, which cost more than a look-up.

    The same route is also registered in the application, for the OpenAPI document.
    """

    operation: str
    role: Role
    access: Access
    read_query: Callable[[bytes], Any]  # raises for an unknown parameter
    body: JsonBody
    answer: Callable[[Exchange, Any], Awaitable[EncodedResponse]]
    reach: Callable[[Exchange], Awaitable[None]]  # waits for the requested graph version

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[SCOPE_KEY]
        if not self.access.open or exchange.refusal is not None:
            await self.access.check(self.role, scope, exchange)
        exchange.operation = self.operation
        if scope["query_string"]:
            self.read_query(scope["query_string"])
        if TIMEOUT in exchange.headers:
            exchange.wished_seconds()  # validates the header, even if nothing is waited for
        request = await self.body.take(exchange)
        if MIN_VERSION in exchange.headers:
            await self.reach(exchange)
        answer = await self.answer(exchange, request)
        await answer(scope, receive, send)


class Guard:
    """Refuses requests that pages of other sites may have sent, and ambiguous ones.

    Args:
        hosts: None if keys are required: a page without a key is refused anyway.
    """

    def __init__(self, hosts: Hosts | None) -> None:
        self.hosts = hosts

    def check(self, scope: Scope, headers: Headers) -> None:
        """Lets a request pass if it is addressed to this service and declares its body.

        Raises:
            MalformedHttpError: a header occurs twice that must not, or the host is missing.
            ForeignHostError, ForeignOriginError, MediaTypeError, EncodingError.
        """
        if len(headers) != len(scope["headers"]):
            check_repeated(scope["headers"])
        host = headers.get(b"host")
        if host is None and scope.get("http_version") == "1.1":
            raise MalformedHttpError("the header `host` is missing")
        if self.hosts is not None and (
            host not in self.hosts.seen or b"origin" in headers or b"sec-fetch-site" in headers
        ):
            self.hosts.check(scope, headers)
        if b"transfer-encoding" in headers:
            check_coding(headers[b"transfer-encoding"])
        if headers.get(b"content-type") != JSON_BYTES and scope["method"] not in SAFE_METHODS:
            check_media_type(scope["path"], headers)


class Gateway:
    """Wraps an application; every request gets exactly one answer, if need be an error."""

    def __init__(
        self,
        app: ASGIApp,
        max_body_bytes: int,
        direct: Mapping[tuple[str, str], ASGIApp],
        metrics: Metrics,
        executor: SerialExecutor,
        log_answers: bool = False,
        tracer: Tracer | None = None,
        guard: Guard | None = None,
        root_path: str = "",
    ) -> None:
        """Wraps `app`.

        Args:
            direct: (method, path) → application, for routes that bypass the router and middleware
                of `app`, which cost more than a look-up.
            executor: thread for reading and compressing large bodies.
            log_answers: whether to log every answer, not only our failures.
            guard: refuses requests; by default only ambiguous ones.
            root_path: under which a proxy offers the service; the proxy may strip it or not.
        """
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.direct = direct
        self.metrics = metrics
        self.executor = executor
        self.log_answers = log_answers
        self.tracer = tracer
        self.guard = guard or Guard(None)
        self.root_path = root_path
        self.rare = RareLog(logger)
        self.running = 0  # requests
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        use_sent_path(scope)
        if self.root_path:
            mount(scope, self.root_path)
        exchange = Exchange(scope, receive, send, self.max_body_bytes, self.executor)
        exchange.closing = self.draining
        scope[SCOPE_KEY] = exchange
        current_request.set(exchange.request_id)
        self.running += 1
        try:
            if self.tracer is None:
                await self.answer(scope, exchange)
            else:
                await self.answer_traced(self.tracer, scope, exchange)
        finally:
            self.running -= 1
            self.count(scope, exchange)

    async def answer_traced(self, tracer: Tracer, scope: Scope, exchange: Exchange) -> None:
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        with tracer.span(scope["method"], headers) as span:
            await self.answer(scope, exchange)
            span.update_name(f"{scope['method']} {exchange.operation}")
            span.set_attribute("http.response.status_code", exchange.status)
            span.set_attribute("understudy.request_id", exchange.request_id.decode())

    async def answer(self, scope: Scope, exchange: Exchange) -> None:
        try:
            if FAILURE in scope:
                raise scope[FAILURE]
            try:
                self.guard.check(scope, exchange.headers)
            except AccessError as refusal:
                exchange.refusal = refusal  # raised unless the route is open to everyone
            app = self.direct.get((scope["method"], scope["path"]))
            if app is None and self.root_path and is_bare_root(scope, self.root_path):
                app = to_page(scope, self.root_path)
            if app is None:
                app = self.app
                if scope["method"] == "HEAD":  # routed like GET
                    scope = {**scope, "method": "GET"}
            await app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            self.metrics.rejections.add("client_left")
            logger.debug("the client disconnected")
        except asyncio.CancelledError:
            if not self.draining:
                raise
            logger.warning("a request was cancelled, since --drain-seconds are over")
            await self.fail(NotReadyError(CUT_OFF), scope, exchange)
        except Exception as error:  # noqa: BLE001 - the boundary: every error gets an answer
            await self.fail(error, scope, exchange)

    async def fail(self, error: Exception, scope: Scope, exchange: Exchange) -> None:
        """Logs an error that is not the client's, and answers it unless an answer has begun."""
        response = failure_response(error, scope["path"])
        if isinstance(error, EngineError):
            self.metrics.rejections.add(reason_of(error))
        if isinstance(error, OURS_TO_MEND):
            self.rare.warning(error.code, "a change was not acknowledged: %s", error)
        if response.status_code >= 500 and response.status_code not in (502, 503, 504):
            logger.error("a request failed", exc_info=error)
        if not exchange.status:
            await response(scope, exchange.receive, exchange.send)

    def count_unread(self, error: EngineError) -> None:
        """Counts the refusal of a connection whose request was not read."""
        self.metrics.rejections.add(error.code)
        self.metrics.requests.add(UNNAMED, str(status_of(error)))

    def count(self, scope: Scope, exchange: Exchange) -> None:
        seconds, operation = exchange.seconds, exchange.operation
        self.metrics.requests.add(operation, str(exchange.status))
        self.metrics.request_seconds.observe(seconds, operation)
        if self.log_answers:
            logger.info(
                "answered",
                extra={
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": exchange.status,
                    "key": exchange.key_name,
                    "milliseconds": round(1_000 * seconds, 3),
                },
            )


def use_sent_path(scope: Scope) -> None:
    """Replaces the decoded path by the path as it was sent."""
    raw = scope.get("raw_path")
    if raw is not None and b"%" in raw:
        scope["path"] = raw.decode("latin-1")


def is_bare_root(scope: Scope, root_path: str) -> bool:
    """Whether the root path was requested without a slash at the end."""
    return scope["path"] == root_path and scope["method"] in ("GET", "HEAD")


def to_page(scope: Scope, root_path: str) -> Response:
    """Redirects to the root path with a slash, because the page's links are relative to it."""
    query = scope["query_string"].decode("latin-1")
    location = f"{root_path}/?{query}" if query else f"{root_path}/"
    return Response(status_code=307, headers={"location": location})


def mount(scope: Scope, root_path: str) -> None:
    """Sets the application's root path, and strips it from the request's path."""
    scope["root_path"] = root_path
    for name, root in (("path", root_path), ("raw_path", root_path.encode())):
        path = scope.get(name)
        if path is not None and path.startswith(root) and path[len(root) :][:1] in ("/", b"/"):
            scope[name] = path[len(root) :]
