"""Errors of the endpoint package.

EndpointError              a question has no answer
├── AddressError           no question can be sent: the URL or the key is invalid
├── UnreachableError       no connection, or the other side does not speak HTTP
├── LateError              no complete answer in time
├── RefusedError           an answer with another status than 200
├── TooManyLabelsError     more labels than the endpoint can choose among
└── MalformedError         an answer that is too long, compressed, or of an unexpected form
"""

from understudy.portable_errors import PortableError

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
# Statuses by which a server refuses one question; others may still be answered.
OF_QUESTION = frozenset({400, 413, 414, 422})


class EndpointError(PortableError):
    """A question has no answer.

    Attributes:
        reason: the server's own words, for a log; without words of the question or of the key.
        of_question: the question is, or may be, to blame: others may still be answered.
        passing: the same question may be answered later.
        retry_after: seconds that the server asks to wait, if it says so.
    """

    of_question = False
    passing = False
    retry_after: float | None = None

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class AddressError(EndpointError):
    """No question can be sent.

    Attributes:
        part: url or key, whichever is invalid.
    """

    def __init__(self, message: str, part: str) -> None:
        super().__init__(message)
        self.part = part


class UnreachableError(EndpointError):
    """No connection, or the other side does not speak HTTP."""

    passing = True


class LateError(EndpointError):
    """No complete answer in time."""

    passing = True


class RefusedError(EndpointError):
    """An answer with another status than 200."""

    def __init__(self, status: int, reason: str = "", retry_after: float | None = None) -> None:
        super().__init__(f"refused with status {status}", reason)
        self.status = status
        self.retry_after = retry_after
        self.of_question = status in OF_QUESTION
        self.passing = status in RETRIED


class MalformedError(EndpointError):
    """An answer that is too long, compressed, or of an unexpected form."""


class TooManyLabelsError(EndpointError):
    """More labels than the endpoint can choose among."""
