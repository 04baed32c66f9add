"""The MCP endpoint: connects the official SDK with the gateway and the tools.

Each request is independent: there are no sessions, so that any process behind a balancer may
answer, and an answer is one JSON document.
"""

import json
import logging
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from mcp import MCPError, types
from mcp.server import Server, ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import Message, Receive, Scope, Send

from service.errors import MalformedJsonError, code_of, reason_of
from service.http.access import Role
from service.http.errors import CODE_OF_STATUS, INTERNAL_ERROR, error_response, status_of
from service.http.exchange import SCOPE_KEY, Exchange, read_body
from service.http.repeats import look_through
from service.mcp import PATH
from service.mcp.tools import TOOLS, Tool, about, schema_of
from service.messages import ErrorDetail
from service.parts import Parts
from understudy.engine.errors import EngineError, shortened

logger = logging.getLogger(__name__)

OPERATION = "mcp"
MOST_BYTES = 2**20  # of a message, which is decoded on the event loop
INSTRUCTIONS = """
A graph whose nodes carry text, and a model that classifies its nodes. Ask about stored nodes by
their ids, or about new ones by a text and the ids of the stored nodes that they are linked to.
"""
READING = types.ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)


class Endpoint:
    """An ASGI application for one path, called by the gateway."""

    def __init__(self, parts: Parts, body_bytes: int) -> None:
        """Prepares the server; it answers within `running`.

        Args:
            body_bytes: maximum size of a request.
        """
        self.parts = parts
        self.most_bytes = min(body_bytes, MOST_BYTES)
        self.server: Server[Any] = Server(
            "understudy",
            instructions=INSTRUCTIONS.strip(),
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
        )
        self.server.middleware.append(bounded)
        self.manager = StreamableHTTPSessionManager(
            self.server,
            json_response=True,
            stateless=True,
            max_request_body_size=self.most_bytes,
        )

    def running(self) -> AbstractAsyncContextManager[None]:
        """Returns the context in which requests are answered; usable once."""
        return self.manager.run()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request.

        Raises:
            AccessError, RateLimitedError: the caller is not allowed.
            InvalidFieldError: the time header is invalid, or the message has a field twice.
            VersionNotReachedError: see `Freshness.reach`.
        """
        exchange: Exchange = scope[SCOPE_KEY]
        await self.parts.access.check(Role.read, scope, exchange)
        exchange.operation = OPERATION
        if scope["method"] != "POST":  # there are no streams or sessions
            detail = ErrorDetail(CODE_OF_STATUS[405], f"{PATH} accepts only POST")
            response = error_response(405, detail, PATH, {"allow": "POST"})
            await response(scope, receive, send)
            return
        exchange.wished_seconds()
        await self.parts.freshness.reach(exchange)
        content = await read_body(receive)
        if len(content) <= self.most_bytes:
            with suppress(MalformedJsonError):  # the SDK reports it in the protocol's form
                look_through(content)
        self.server.version = self.parts.slot.engine.model_version  # of the current model
        await self.manager.handle_request(scope, beginning_with(content, receive), send)

    async def list_tools(
        self, _: ServerRequestContext[Any, Any], __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        labels = about(self.parts.slot.engine.manifest.label_names)
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=tool.name,
                    description=tool.description + labels,
                    input_schema=schema_of(tool.takes),
                    output_schema=schema_of(tool.gives),
                    annotations=READING,
                )
                for tool in TOOLS
            ]
        )

    async def call_tool(
        self, context: ServerRequestContext[Any, Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Calls a tool; returns its answer or an error, both for the model to read.

        Raises:
            MCPError: there is no such tool.
        """
        tool = next((tool for tool in TOOLS if tool.name == params.name), None)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"there is no tool {shortened(params.name)!r}")
        assert context.request is not None
        exchange: Exchange = context.request.scope[SCOPE_KEY]
        return await self.answer(tool, exchange, params.arguments or {})

    async def answer(self, tool: Tool, exchange: Exchange, arguments: Any) -> types.CallToolResult:
        try:
            content = await tool.call(self.parts, exchange, arguments)
        except EngineError as error:
            code = code_of(error)
            if status_of(error) == 500:
                logger.error("a tool failed", exc_info=error)
            self.parts.metrics.rejections.add(reason_of(error))
            return failure(code, str(error))
        except Exception:
            logger.exception("a tool failed")
            return failure(INTERNAL_ERROR, "internal error; the log has it")
        return types.CallToolResult(
            content=[types.TextContent(text=content.decode())],
            structured_content=json.loads(content),
        )


def beginning_with(content: bytes, receive: Receive) -> Receive:
    """Makes a receive function that first returns a body that was already read."""
    coming: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def next_message() -> Message:
        return coming.pop() if coming else await receive()

    return next_message


async def bounded(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Shortens the name of an unknown method in the error, which the SDK would echo whole.

    Raises:
        MCPError: the call's error.
    """
    try:
        return await call_next(ctx)
    except MCPError as error:
        if error.code != types.METHOD_NOT_FOUND:
            raise
        raise MCPError(error.code, error.message, shortened(ctx.method)) from error


def failure(code: str, words: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=f"{code}: {words}")], is_error=True)
