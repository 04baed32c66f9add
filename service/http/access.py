"""Whether a request may be answered at all: its key, its role, its rate."""

from collections.abc import Sequence

from starlette.types import Scope

from service.errors import ForbiddenError, RateLimitedError, UnauthorizedError
from service.http.addresses import Clients
from service.http.exchange import Exchange
from service.http.keys import Key, find_key
from service.http.rate_limits import RateLimiter
from service.http.roles import Role


class Access:
    """Checks callers; without keys everybody who can connect may do everything."""

    def __init__(
        self, keys: Sequence[Key], limiter: RateLimiter | None, clients: Clients | None = None
    ) -> None:
        self.keys = tuple(keys)
        self.limiter = limiter
        self.clients = clients or Clients()

    @property
    def open(self) -> bool:
        """Whether nothing is ever checked."""
        return not self.keys and self.limiter is None

    async def check(self, role: Role, scope: Scope, exchange: Exchange) -> None:
        """Lets a request pass that may; the exchange then knows the key's name.

        Callers without a known key are counted by their address, so that guessing is limited, too.

        Args:
            role: what the operation needs; anyone is exempt from limits, too.

        Raises:
            RateLimitedError, UnauthorizedError, ForbiddenError.
        """
        if role is Role.anyone:
            return
        key = find_key(self.keys, exchange.authorization) if self.keys else None
        if key is not None:
            exchange.key_name = key.name
        if self.limiter is not None:
            caller = f"key:{key.name}" if key else f"address:{self.address(scope)}"
            seconds = await self.limiter.wait_seconds(caller)
            if seconds > 0:
                raise RateLimitedError(seconds)
        if self.keys:
            check_role(key, role)

    def address(self, scope: Scope) -> str:
        """The client's, or what stands for it where there is none."""
        client = scope.get("client")
        return self.clients.name(str(client[0]), scope["headers"]) if client else "unknown"


def check_role(key: Key | None, role: Role) -> None:
    """Lets a key pass whose role suffices.

    Raises:
        UnauthorizedError, ForbiddenError.
    """
    if key is None:
        raise UnauthorizedError("send a key as `Authorization: Bearer …`")
    if key.role < role:
        raise ForbiddenError(f"this needs a key of the role {role.name}, yours has {key.role.name}")
