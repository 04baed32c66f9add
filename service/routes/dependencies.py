"""What handlers are given: who may ask, the request itself, the service's parts, a path's names."""

from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request, Security
from fastapi.security import HTTPBearer
from pydantic import AfterValidator

from service.http.access import Role
from service.http.io import SCOPE_KEY, Exchange
from service.http.paths import decode_part
from service.parts import Parts


class Permit(HTTPBearer):
    """Lets a request pass whose key has a role, before its body is read."""

    def __init__(self, role: Role) -> None:
        super().__init__(auto_error=False, scheme_name="key")
        self.role = role

    async def __call__(self, request: Request) -> None:  # type: ignore[override]
        """Checks.

        Raises:
            AccessError, RateLimitedError, MalformedPathError: see `Access.check` and `begin`.
        """
        exchange: Exchange = request.scope[SCOPE_KEY]
        parts: Parts = request.app.state.parts
        await parts.access.check(self.role, request.scope, exchange)
        begin(request)


def needs(role: Role) -> Any:
    return Security(Permit(role), scopes=[role.name])


async def permit_anyone(request: Request) -> None:
    """Of what is asked by machines that hold no key."""
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
            alias="x-timeout-seconds",
            description="Seconds after which the answer is not wanted any more.",
        ),
    ] = None,
) -> Exchange:
    """The exchange reads the header when the answer is waited for."""
    return await exchange_of(request)


Served = Annotated[Parts, Depends(parts_of)]
Timed = Annotated[Exchange, Depends(timed_exchange)]
PathName = Annotated[str, Path(min_length=1), AfterValidator(decode_part)]
NodeId = Annotated[str, Path(alias="id", min_length=1), AfterValidator(decode_part)]
