"""Errors of this room.

ClientError
├── InvalidRequestError    the caller's arguments are invalid: nothing was sent
├── RefusedError           the service refused the request: sending it again changes nothing
├── UnavailableError       the service did not answer, or refused for now, in every attempt
└── UnexpectedAnswerError  the answer is not from the service
"""

from collections.abc import Mapping
from typing import Any

from understudy.portable_errors import PortableError


class ClientError(PortableError):
    """Root of every expected error of `client`."""


class InvalidRequestError(ClientError, ValueError):
    """The caller's arguments are invalid: nothing was sent."""


class RefusedError(ClientError):
    """The service refused the request.

    Attributes:
        status: HTTP status.
        code: the service's stable error code.
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
    """The service did not answer, or refused the request for now, in every attempt.

    Attributes:
        code: the service's error code in the last attempt; empty if it did not answer that one. A
            change may have been made by an earlier attempt: repeat it under its key.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class UnexpectedAnswerError(ClientError):
    """The answer is not from the service."""
