"""Errors of this room. They know nothing of HTTP: `service.statuses` gives each code its status.

ServiceError
├── SettingsError            a setting has no valid value
├── AddressError             the address cannot be listened on
├── BundleMismatchError      the parts of a bundle do not belong together
├── InferenceError           the networks gave no usable answer
├── NotReadyError            the service cannot answer now
├── RequestError             the whole request is refused
│   ├── MalformedJsonError   the body is not JSON
│   ├── InvalidFieldError    a field is missing, unknown, of a wrong type or beyond a limit
│   └── BodyTooLargeError    the body has more bytes than allowed
└── NodeError                one node of a request is refused, the others are answered
    ├── IncompleteNodeError  neither an id nor a text
    ├── UnknownNodeError     no stored node has that id
    ├── UnknownNeighborError a neighbour is not stored
    ├── EmptyTextError       nothing but white space
    ├── TextTooLongError     more characters than allowed
    └── TooManyNeighborsError
"""

from collections.abc import Sequence
from typing import ClassVar

Detail = str | int | list[str]

SHOWN_CHARACTERS = 100  # of a client's own words in a message
SHOWN_ITEMS = 10


class ServiceError(Exception):
    """Root of every expected error of `service`.

    Attributes:
        code: what clients branch on; never changes.
        details: named values that belong to the message.
    """

    code: ClassVar[str] = "service_error"

    def __init__(self, message: str, **details: Detail) -> None:
        super().__init__(message)
        self.details = details


class SettingsError(ServiceError):
    """A setting has no valid value."""

    code = "invalid_setting"


class AddressError(ServiceError):
    """The address cannot be listened on."""

    code = "address_unavailable"


class BundleMismatchError(ServiceError):
    """The parts of a bundle do not belong together."""

    code = "bundle_mismatch"


class InferenceError(ServiceError):
    """The networks gave no usable answer."""

    code = "inference_failed"


class NotReadyError(ServiceError):
    """The service cannot answer now."""

    code = "not_ready"


class RequestError(ServiceError):
    """The whole request is refused."""

    code = "bad_request"


class MalformedJsonError(RequestError):
    """The body is not JSON."""

    code = "malformed_json"


class InvalidFieldError(RequestError):
    """A field is missing, unknown, of a wrong type or beyond a limit."""

    code = "invalid_field"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}" if field else problem, field=field)


class BodyTooLargeError(RequestError):
    """The body has more bytes than allowed."""

    code = "body_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body has more than {limit:,} bytes", limit=limit)


class NodeError(ServiceError):
    """One node of a request is refused, the others are answered."""

    code = "bad_node"


class IncompleteNodeError(NodeError):
    """Neither an id nor a text."""

    code = "incomplete_node"


class UnknownNodeError(NodeError):
    """No stored node has that id."""

    code = "unknown_node"

    def __init__(self, node_id: str) -> None:
        node_id = shortened(node_id)
        super().__init__(
            f"no stored node has the id {node_id!r}; send its text to classify an unseen node",
            id=node_id,
        )


class UnknownNeighborError(NodeError):
    """A neighbour is not stored."""

    code = "unknown_neighbor"

    def __init__(self, neighbors: Sequence[str]) -> None:
        shown = [shortened(neighbor) for neighbor in neighbors[:SHOWN_ITEMS]]
        more = f" and {len(neighbors) - 1:,} more" if len(neighbors) > 1 else ""
        super().__init__(f"no stored node has the id {shown[0]!r}{more}", neighbors=shown)


class EmptyTextError(NodeError):
    """Nothing but white space."""

    code = "empty_text"


class TextTooLongError(NodeError):
    """More characters than allowed."""

    code = "text_too_long"

    def __init__(self, characters: int, limit: int) -> None:
        super().__init__(
            f"the text has {characters:,} characters, at most {limit:,} are allowed", limit=limit
        )


class TooManyNeighborsError(NodeError):
    """More neighbours than allowed."""

    code = "too_many_neighbors"

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(f"{count:,} neighbors, at most {limit:,} are allowed", limit=limit)


def shortened(words: str) -> str:
    """A client's own words, cut to what a message can bear."""
    return words if len(words) <= SHOWN_CHARACTERS else words[:SHOWN_CHARACTERS] + "…"
