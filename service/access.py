"""Whether a request may be answered at all: its key, its role, its rate."""

from collections.abc import Mapping, Sequence

from service.errors import ForbiddenError, RateLimitedError, UnauthorizedError
from service.keys import Key, find_key
from service.rate_limits import RateLimiter
from service.roles import Role


class Access:
    """Checks callers; without keys everybody who can connect may do everything."""

    def __init__(self, keys: Sequence[Key], limiter: RateLimiter | None) -> None:
        self.keys = tuple(keys)
        self.limiter = limiter

    @property
    def open(self) -> bool:
        """Whether nothing is ever checked."""
        return not self.keys and self.limiter is None

    async def check(self, role: Role, authorization: bytes, address: str) -> None:
        """Lets a request pass that may.

        Args:
            role: what the operation needs; anyone is exempt from limits, too.
            address: of the client, by which callers without a key are told apart.

        Raises:
            UnauthorizedError, ForbiddenError, RateLimitedError.
        """
        if role is Role.anyone:
            return
        key = self.key_for(role, authorization)
        if self.limiter is not None:
            caller = f"key:{key.name}" if key else f"address:{address}"
            seconds = await self.limiter.wait_seconds(caller)
            if seconds > 0:
                raise RateLimitedError(seconds)

    def key_for(self, role: Role, authorization: bytes) -> Key | None:
        if not self.keys:
            return None
        key = find_key(self.keys, authorization)
        if key is None:
            raise UnauthorizedError("send a key as `Authorization: Bearer …`")
        if key.role < role:
            raise ForbiddenError(
                f"this needs a key of the role {role.name}, yours has {key.role.name}"
            )
        return key


def client_address(scope: Mapping[str, object]) -> str:
    client = scope.get("client")
    return str(client[0]) if isinstance(client, tuple | list) and client else "unknown"
