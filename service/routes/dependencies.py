"""The dependencies of handlers: roles, the request itself, the service's parts, path names.

Paths are routed as they were sent, and what they name is decoded afterwards. So an
id that holds a slash, percent-encoded, is one id in every route, and no two paths that were sent
differently can mean another node than the one that was named.
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
    """What a part of a path says.

    Raises:
        MalformedPathError: its percent-encoding is broken, or what it encodes is not UTF-8.
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
        raise MalformedPathError("what the path encodes is not UTF-8") from error


class Identifier(Convertor[str]):
    """An id as it was sent; its slashes may be sent as they are, too."""

    regex = ".+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class NodeAlone(Identifier):
    """An id with nothing behind it that another route has."""

    regex = "(?!.+/(neighbors|similar)$).+"


register_url_convertor("id", Identifier())
register_url_convertor("node", NodeAlone())


class Permit(HTTPBearer):
    """Lets a request pass whose key has a role, before its body is read."""

    def __init__(self, role: Role) -> None:
        super().__init__(auto_error=False, scheme_name="key")
        self.role = role

    async def __call__(self, request: Request) -> None:  # type: ignore[override]
        """Checks.

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
    """Refuses what a route would pass by although its sender means something by it.

    Raises:
        InvalidFieldError: a parameter of the query that it does not have, a time that is none, or
            a body where none is read.
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
    """Of what is asked by machines that hold no key, and of the pages for people.

    Their queries are not read: probes, scrapers, caches and links add what they like, and nothing
    that could be meant by it would be answered otherwise.
    """
    begin(request)


def begin(request: Request) -> None:
    """Sees that the path can be read before a body is, and names what is asked in the figures.

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
            description="Seconds after which the answer is not wanted any more.",
        ),
    ] = None,
) -> Exchange:
    """The exchange reads the header when the answer is waited for."""
    return await exchange_of(request)


async def in_time(
    served: Parts,
    exchange: Exchange,
    function: Callable[Arguments, Result],
    *arguments: Arguments.args,
    **options: Arguments.kwargs,
) -> Result:
    """What a function returns or raises, called off the event loop, in the request's time.

    Raises:
        OverloadedError: too much waits already.
        ClientDisconnect, DeadlineError: nobody waits for it any more.
    """
    served.executor.check()
    work = served.executor.run(function, *arguments, **options)
    return await attend(work, exchange, seconds_left(exchange, served.classifier.seconds))


Served = Annotated[Parts, Depends(parts_of)]
Timed = Annotated[Exchange, Depends(timed_exchange)]
PathName = Annotated[
    str,
    Path(min_length=1, description="As `GET /info` tells it, percent-encoded."),
    AfterValidator(decode_part),
]
PathId = Annotated[
    str,
    Path(alias="id", min_length=1, description="Of the node, percent-encoded as one part."),
    AfterValidator(decode_part),
]


async def model_of(served: Served, model: PathName) -> Engine:
    """What is served, as the path names it.

    Raises:
        UnknownModelError: another model.
    """
    engine = served.slot.engine
    if model != engine.manifest.name:
        raise UnknownModelError(model, engine.manifest.name)
    return engine


Model = Annotated[Engine, Depends(model_of)]
