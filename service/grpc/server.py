"""The gRPC server next to HTTP: every call is a request to the same application.

Browsers cannot call it, so guards against other sites' pages are not needed; keys, rates, limits,
deadlines, metrics and errors are those of HTTP, since each call passes through it.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import grpc  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from starlette.types import ASGIApp

from service.errors import (
    AddressError,
    InvalidFieldError,
    MalformedMessageError,
    MessageNotReadError,
    OverloadedError,
    ServiceError,
    SlowBodyError,
    UnknownMethodError,
)
from service.grpc.calls import Calls, Count, Handler
from service.grpc.protocol import METHODS, SERVICE, message_class
from service.grpc.translation import grpc_response, http_request
from service.http.bodies import LARGE_BYTES, SerialExecutor
from service.http.connections import REFUSED_CONNECTIONS
from service.http.internal import Answer, ask
from service.routes.tensors import LENGTH_HEADER

logger = logging.getLogger(__name__)

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
# Call metadata that are passed on as HTTP headers.
PASSED_ON = (
    "authorization",
    "x-request-id",
    "x-timeout-seconds",
    "x-min-graph-version",
    "x-forwarded-for",
    "traceparent",
    "tracestate",
)
LEAST_SECONDS = 0.001  # for a deadline that is almost over
STREAMS = 100  # running calls of one connection; the client makes further ones wait
LONGEST_SECONDS = 2_000_000  # that gRPC can represent in milliseconds
HEADROOM_BYTES = LARGE_BYTES  # of a message, in addition to its body
MOST_BYTES = 2**31 - 1  # largest size in gRPC


@dataclass(frozen=True, slots=True)
class GrpcOptions:
    """The address to listen on, and limits of calls."""

    host: str
    port: int  # 0 picks a free one
    body_bytes: int
    head_bytes: int
    calls: int  # running at a time; some more connections may be open, to be refused
    receive_seconds: float  # for a call's message; also for a connection without calls
    send_seconds: float  # for a client to read 64 KiB of an answer, and to answer a ping
    shared: bool = False  # with other workers of the same service


class GrpcServer:
    """Serves the Open Inference Protocol; create, start and stop it on the event loop."""

    def __init__(
        self, app: ASGIApp, options: GrpcOptions, executor: SerialExecutor, count: Count
    ) -> None:
        """Binds the port; answers nothing before `start`.

        Args:
            executor: thread for translating large calls.
            count: counts refusals that the application does not see.

        Raises:
            AddressError: the address is taken, not of this machine, or invalid.
        """
        self.app = app
        self.executor = executor
        self.calls = Calls(
            options.calls,
            options.receive_seconds,
            options.send_seconds,
            (self.refuse_call, self.refuse_method),
            count,
        )
        idle, stuck = map(milliseconds, (options.receive_seconds, options.send_seconds))
        self.server = grpc.aio.server(
            options=(
                # Otherwise a second service could silently share the port.
                ("grpc.so_reuseport", int(options.shared)),
                (
                    "grpc.max_receive_message_length",
                    min(options.body_bytes + HEADROOM_BYTES, MOST_BYTES),
                ),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_metadata_size", min(options.head_bytes, MOST_BYTES)),
                # Each connection takes a descriptor, which HTTP needs, too.
                ("grpc.max_allowed_incoming_connections", options.calls + REFUSED_CONNECTIONS),
                ("grpc.max_connection_idle_ms", idle),
                ("grpc.server_handshake_timeout_ms", idle),
                # Unread answers are kept in memory, so the client has to prove that it is alive.
                ("grpc.keepalive_time_ms", stuck),
                ("grpc.keepalive_timeout_ms", stuck),
                ("grpc.max_concurrent_streams", STREAMS),
            ),
            interceptors=(self.calls,),
        )
        # As for streams: other handlers have no time limit for the message.
        handlers = {
            name: grpc.stream_unary_rpc_method_handler(
                self.reading(name),
                response_serializer=message_class(f"{name}Response").SerializeToString,
            )
            for name in METHODS
        }
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, handlers),)
        )
        host = f"[{options.host}]" if ":" in options.host else options.host
        try:
            self.port = self.server.add_insecure_port(f"{host}:{options.port}")
        except RuntimeError as error:
            raise AddressError(
                f"cannot listen for gRPC on {options.host}, port {options.port}; choose another "
                "with --grpc-port (0 picks a free one) or --host"
            ) from error
        self.address = f"{host}:{self.port}"

    async def start(self) -> None:
        await self.server.start()
        logger.info("serving gRPC", extra={"address": self.address})

    async def stop(self, seconds: float) -> None:
        """Accepts no new call, and gives running ones so many seconds to finish."""
        await self.server.stop(seconds)

    def reading(self, name: str) -> Handler:
        """Wraps a method with our own reading of its message, so that refusals are counted."""
        parse, method = message_class(f"{name}Request").FromString, getattr(self, name)

        async def answer(messages: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> Any:
            try:
                sent = await self.calls.message(messages)
            except SlowBodyError as failure:
                return await self.refuse(context, failure)
            except MessageNotReadError as failure:
                return await self.refuse_unread(context, failure)
            try:
                request = parse(sent)
            except DecodeError:
                malformed = MalformedMessageError(f"the message is not an inference.{name}Request")
                return await self.refuse(context, malformed)
            reply = await method(request, context)
            self.calls.answered(reply.ByteSize())
            return reply

        return answer

    async def ServerLive(self, _: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the protocol's names
        await self.succeed(context, "GET", "/v2/health/live")
        return message_class("ServerLiveResponse")(live=True)

    async def ServerReady(self, _: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        ready = await self.is_ready(context, "/v2/health/ready")
        return message_class("ServerReadyResponse")(ready=ready)

    async def ModelReady(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        path = f"{model_path(request.name, request.version)}/ready"
        ready = await self.is_ready(context, path)
        return message_class("ModelReadyResponse")(ready=ready)

    async def ServerMetadata(self, _: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        metadata = json.loads((await self.succeed(context, "GET", "/v2")).content)
        return message_class("ServerMetadataResponse")(
            name=metadata["name"], version=metadata["version"]
        )

    async def ModelMetadata(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        answer = await self.succeed(context, "GET", model_path(request.name, request.version))
        return message_class("ModelMetadataResponse")(**json.loads(answer.content))

    async def ModelInfer(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        path = f"{model_path(request.model_name, request.model_version)}/infer"
        try:
            if request.ByteSize() > LARGE_BYTES:
                body, head = await self.executor.run(http_request, request)
            else:
                body, head = http_request(request)
        except InvalidFieldError as error:
            return await self.refuse(context, error)
        headers = ((LENGTH_HEADER.encode(), b"%d" % head),)
        answer = await self.succeed(context, "POST", path, headers, body)
        raw = bool(request.raw_input_contents)
        if len(answer.content) > LARGE_BYTES:
            return await self.executor.run(grpc_response, answer, raw)
        return grpc_response(answer, raw)

    async def refuse_call(self, _: Any, context: grpc.aio.ServicerContext) -> None:
        """Answers a call beyond the limit."""
        await self.refuse(context, OverloadedError("too many calls are running", 1.0))

    async def refuse_method(self, _: Any, context: grpc.aio.ServicerContext) -> None:
        """Answers a call of an unknown method."""
        failure = UnknownMethodError(f"{SERVICE} has the methods {', '.join(METHODS)} here")
        await self.refuse(context, failure, grpc.StatusCode.UNIMPLEMENTED)

    async def refuse_unread(self, context: grpc.aio.ServicerContext, failure: ServiceError) -> None:
        """Answers a call without a message, unless grpcio already refused it as too large."""
        try:
            await self.refuse(context, failure, grpc.StatusCode.INVALID_ARGUMENT)
        except grpc.aio.InternalError as error:  # the call already has an answer
            raise asyncio.CancelledError from error

    async def refuse(
        self,
        context: grpc.aio.ServicerContext,
        failure: ServiceError,
        code: grpc.StatusCode | None = None,
    ) -> None:
        """Answers with a failure; the call is counted like any other.

        Args:
            code: the status, if it differs from that of the failure.
        """
        answer = await self.ask(context, "POST", "/v2", failure=failure)
        await refuse_failure(context, answer, code)

    async def is_ready(self, context: grpc.aio.ServicerContext, path: str) -> bool:
        answer = await self.ask(context, "GET", path)
        if answer.status == 503:
            return False
        await refuse_failure(context, answer)
        return True

    async def succeed(self, context: grpc.aio.ServicerContext, *request: Any) -> Answer:
        """Sends a request, and ends the call unless it succeeds."""
        answer = await self.ask(context, *request)
        await refuse_failure(context, answer)
        return answer

    async def ask(
        self,
        context: grpc.aio.ServicerContext,
        method: str,
        path: str,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        body: bytes = b"",
        failure: ServiceError | None = None,
    ) -> Answer:
        """Sends a request to the application; its headers become trailing metadata."""
        passed = passed_on(context)
        asker = peer(context)
        answer = await ask(self.app, method, path, (*passed, *headers), body, asker, failure)
        context.set_trailing_metadata(
            tuple(
                (name.decode(), value.decode("latin-1"))
                for name, value in answer.headers.items()
                if name.startswith(b"x-") or name == b"retry-after"
            )
        )
        return answer


def milliseconds(seconds: float) -> int:
    """Converts seconds for gRPC's options."""
    return max(round(1_000 * min(seconds, LONGEST_SECONDS)), 1)


async def refuse_failure(
    context: grpc.aio.ServicerContext, answer: Answer, code: grpc.StatusCode | None = None
) -> None:
    """Ends the call with the gRPC status of an answer, unless that is a success."""
    if answer.status != 200:
        code = code or CODES.get(answer.status, grpc.StatusCode.UNKNOWN)
        await context.abort(code, json.loads(answer.content)["error"])


def passed_on(context: grpc.aio.ServicerContext) -> list[tuple[bytes, bytes]]:
    """Converts a call's metadata and deadline to headers."""
    headers = [
        (name.encode(), value.encode("latin-1") if isinstance(value, str) else value)
        for name, value in context.invocation_metadata() or ()
        if name in PASSED_ON
    ]
    left = context.time_remaining()
    if left is not None and not any(name == b"x-timeout-seconds" for name, _ in headers):
        headers.append((b"x-timeout-seconds", b"%.6f" % max(left, LEAST_SECONDS)))
    return headers


def peer(context: grpc.aio.ServicerContext) -> tuple[str, int] | None:
    """Parses "ipv4:127.0.0.1:5000" or "ipv6:%5B::1%5D:5000" to address and port."""
    kind, _, rest = unquote(context.peer()).partition(":")
    host, _, port = rest.rpartition(":")
    if kind not in ("ipv4", "ipv6") or not port.isdigit():
        return None
    return host.strip("[]"), int(port)


def model_path(name: str, version: str) -> str:
    path = f"/v2/models/{quote(name, safe='')}"
    return f"{path}/versions/{quote(version, safe='')}" if version else path
