"""Dependencies of the handlers: roles, the request, the service's parts, names in paths.

Paths are routed as they were sent, and the names in them are decoded afterwards. So an id with a
percent-encoded slash is one id in every route, and two paths that were sent differently cannot be
confused.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

from fastapi import Depends, Header, Path, Request, Security
from fastapi.security import HTTPBearer
from pydantic import AfterValidator
from starlette.convertors import Convertor, register_url_convertor

from service.errors import MalformedPathError, UnknownModelError
from service.http.access import Role
from service.http.bodies import Arguments, Result
from service.http.exchange import SCOPE_KEY, TIMEOUT, Exchange, refuse_body
from service.inference.deadlines import attend, seconds_left
from service.parts import Parts
from service.routes.queries import NO_QUERY
from service.routes.structs import StructRoute
from understudy.engine.engine import Engine

BROKEN_ENCODING = re.compile("%(?![0-9A-Fa-f]{2})")


def decode_part(sent: str) -> str:
    """Decodes a part of a path.

    Raises:
        MalformedPathError: its percent-encoding is broken, or it does not encode UTF-8.
    """
    if "%" not in sent and sent.isascii():
        return sent
    if broken := BROKEN_ENCODING.search(sent):
        raise MalformedPathError(
            f"the path has a bad percent-encoding at character {broken.start()}"
        )
    try:
        return unquote_to_bytes(sent.encode("latin-1")).decode("utf-8")
    except UnicodeError as error:
        raise MalformedPathError("the decoded path is not UTF-8") from error


class Identifier(Convertor[str]):
    """An id as it was sent; its slashes may be sent unencoded, too."""

    regex = ".+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class NodeAlone(Identifier):
    """An id without a suffix that belongs to another route."""

    regex = "(?!.+/(neighbors|similar)$).+"


register_url_convertor("id", Identifier())
register_url_convertor("node", NodeAlone())


class Permit(HTTPBearer):
    """Lets a request pass if its key has the role, before its body is read."""

    def __init__(self, role: Role) -> None:
        super().__init__(auto_error=False, scheme_name="key")
        self.role = role

    async def __call__(self, request: Request) -> None:  # type: ignore[override]
        """Checks the request.

        Raises:
            AccessError, RateLimitedError, MalformedPathError: see `Access.check` and `begin`.
            InvalidFieldError, VersionNotReachedError: see `refuse_unread` and `Freshness.reach`.
        """
        exchange: Exchange = request.scope[SCOPE_KEY]
        parts: Parts = request.app.state.parts
        await parts.access.check(self.role, request.scope, exchange)
        begin(request)
        await refuse_unread(request, exchange)
        await parts.freshness.reach(exchange)


async def refuse_unread(request: Request, exchange: Exchange) -> None:
    """Refuses parts of a request that the route would silently ignore.

    Raises:
        InvalidFieldError: an unknown query parameter, an invalid time, or a body where none is
            read.
        MalformedPathError: see `QueryFields.read`.
    """
    route = request.scope["route"]
    known = route if isinstance(route, StructRoute) else None
    query = NO_QUERY if known is None else known.query
    query.read(request.scope["query_string"])
    exchange.wished_seconds()
    if known is None or not known.takes_body:
        await refuse_body(exchange.receive)


def needs(role: Role) -> Any:
    return Security(Permit(role), scopes=[role.name])


async def permit_anyone(request: Request) -> None:
    """Lets everyone pass, for routes of machines without a key and of the web page.

    Their queries are ignored: probes, scrapers, caches and links add arbitrary parameters, none of
    which could change the answer.
    """
    begin(request)


def begin(request: Request) -> None:
    """Checks the path's encoding before a body is read, and names the operation in the metrics.

    Raises:
        MalformedPathError: see `decode_part`.
    """
    decode_part(request.scope["path"])
    route = request.scope["route"]
    if route.include_in_schema:
        request.scope[SCOPE_KEY].operation = route.name


READ = needs(Role.read)
WRITE = needs(Role.write)
ADMIN = needs(Role.admin)
ANYONE = Depends(permit_anyone)


async def parts_of(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


async def exchange_of(request: Request) -> Exchange:
    exchange: Exchange = request.scope[SCOPE_KEY]
    return exchange


async def timed_exchange(
    request: Request,
    _: Annotated[
        str | None,
        Header(
            alias=TIMEOUT.decode(),
            description="Seconds after which the client no longer needs the answer.",
        ),
    ] = None,
) -> Exchange:
    """Returns the exchange; it reads the header itself when it waits for the answer."""
    return await exchange_of(request)


async def in_time(
    served: Parts,
    exchange: Exchange,
    function: Callable[Arguments, Result],
    *arguments: Arguments.args,
    **options: Arguments.kwargs,
) -> Result:
    """Calls a function off the event loop, within the request's time.

    Raises:
        OverloadedError: too much waits already.
        ClientDisconnect, DeadlineError: the client left, or the time is over.
    """
    served.executor.check()
    work = served.executor.run(function, *arguments, **options)
    return await attend(work, exchange, seconds_left(exchange, served.classifier.seconds))


Served = Annotated[Parts, Depends(parts_of)]
Timed = Annotated[Exchange, Depends(timed_exchange)]
PathName = Annotated[
    str,
    Path(min_length=1, description="Name or version as in `GET /info`, percent-encoded."),
    AfterValidator(decode_part),
]
PathId = Annotated[
    str,
    Path(
        alias="id", min_length=1, description="Id of the node, percent-encoded as one path segment."
    ),
    AfterValidator(decode_part),
]


async def model_of(served: Served, model: PathName) -> Engine:
    """Checks the model's name in a path, and returns the served engine.

    Raises:
        UnknownModelError: another model.
    """
    engine = served.slot.engine
    if model != engine.manifest.name:
        raise UnknownModelError(model, engine.manifest.name)
    return engine


Model = Annotated[Engine, Depends(model_of)]
