"""Errors of this room.

ClientError
├── InvalidRequestError    it cannot be sent: what the caller gave is no request
├── RefusedError           the service refused the request: sending it again changes nothing
├── UnavailableError       it could not answer, however often it was asked
└── UnexpectedAnswerError  what answered is not the service
"""

from collections.abc import Mapping
from typing import Any

from understudy.portable_errors import PortableError


class ClientError(PortableError):
    """Root of every expected error of `client`."""


class InvalidRequestError(ClientError, ValueError):
    """What the caller gave is no request: nothing was sent."""


class RefusedError(ClientError):
    """The service refused the request.

    Attributes:
        status: of HTTP.
        code: the service's own, stable.
        details: named values, for example the field.
        request_id: of the request in the service's log.
    """

    def __init__(
        self, status: int, code: str, message: str, details: Mapping[str, Any], request_id: str
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.details = details
        self.request_id = request_id


class UnavailableError(ClientError):
    """The service could not answer, however often it was asked."""


class UnexpectedAnswerError(ClientError):
    """What answered is not the service."""
