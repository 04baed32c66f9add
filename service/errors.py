"""Errors of this room. They know nothing of HTTP: `service.http.statuses` gives each its status.

ServiceError
├── SettingsError            a setting has no valid value
├── AddressError             the address cannot be listened on
├── BundleMismatchError      the parts of a bundle do not belong together
├── InferenceError           the networks gave no usable answer
├── NotReadyError            the service cannot answer now
├── OverloadedError          the queue is full
├── RateLimitedError         a key asks more often than it may
├── DeadlineError            the answer did not come in time
├── SlowBodyError            the request did not come in time
├── WireError                what came is no request that can be read
│   ├── MalformedHttpError   not HTTP
│   ├── HeadTooLargeError    more bytes or headers than allowed before the body
│   └── TargetTooLongError   most of them are the target's
├── ConnectionsError         too many connections are open
├── JournalFailedError       a change cannot be made durable
├── ReloadError              the new bundle cannot be served
├── ReloadRunningError       another reload is running
├── AccessError              who asks may not
│   ├── ForeignHostError     the request is meant for another host
│   ├── ForeignOriginError   another site's page sends it
│   ├── UnauthorizedError    no key, or an unknown one
│   └── ForbiddenError       the key's role does not suffice
├── RequestError             the whole request is refused
│   ├── MalformedJsonError   the body is not JSON
│   ├── MalformedPathError   the path's encoding is broken
│   ├── MediaTypeError       the body does not say that it is JSON
│   ├── EncodingError        the body is compressed in an unknown way
│   ├── MalformedEncodingError  it is not compressed as it says
│   ├── InvalidFieldError    a field is missing, unknown, of a wrong type or beyond a limit
│   ├── MutationRefusedError an item of a batch of changes cannot be done
│   ├── MutationTargetError  it names a node or an edge that is not stored
│   ├── KeyReusedError       an idempotency key came with another batch before
│   ├── UnknownModelError    no model of that name
│   ├── NoNodeError          not one node can be answered: the first one's error
│   └── BodyTooLargeError    the body has more bytes than allowed
└── NodeError                one node of a request is refused, the others are answered
    ├── IncompleteNodeError  neither an id nor a text
    ├── UnknownNodeError     no stored node has that id
    ├── UnknownNeighborError a neighbour is not stored
    ├── EmptyTextError       nothing but white space
    ├── TextTooLongError     more characters than allowed
    ├── TooManyNeighborsError
    ├── TeacherError         the teacher gave no usable answer
    └── TeacherBusyError     too many questions wait for the teacher
"""

from collections.abc import Mapping, Sequence
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
    retry_after: float | None = None  # seconds after which asking again may help

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
    retry_after = 1.0


class JournalFailedError(ServiceError):
    """A change cannot be made durable; nothing of it was done."""

    code = "journal_failed"
    retry_after = 1.0


class OverloadedError(ServiceError):
    """The queue is full."""

    code = "overloaded"

    def __init__(self, what: str, retry_after: float) -> None:
        super().__init__(f"{what}; ask again later")
        self.retry_after = retry_after


class RateLimitedError(ServiceError):
    """A key, or an address, asks more often than it may."""

    code = "rate_limited"

    def __init__(self, retry_after: float) -> None:
        super().__init__("more requests than a caller may send; ask again later")
        self.retry_after = retry_after


class DeadlineError(ServiceError):
    """The answer did not come in time."""

    code = "deadline_passed"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s")


class SlowBodyError(ServiceError):
    """The request did not come in time."""

    code = "slow_body"


class WireError(ServiceError):
    """What came is no request that can be read; the connection ends."""

    code = "unreadable_request"


class MalformedHttpError(WireError):
    """Not HTTP, or none that has one meaning."""

    code = "malformed_http"


class HeadTooLargeError(WireError):
    """More bytes or headers than allowed before the body."""

    code = "head_too_large"


class TargetTooLongError(WireError):
    """The request line's target is longer than allowed."""

    code = "target_too_long"


class ConnectionsError(ServiceError):
    """Too many connections are open."""

    code = "too_many_connections"
    retry_after = 1.0


class ReloadError(ServiceError):
    """The new bundle cannot be served."""

    code = "reload_refused"


class ReloadRunningError(ServiceError):
    """Another reload is running."""

    code = "reload_running"


class AccessError(ServiceError):
    """Who asks may not."""

    code = "no_access"


class ForeignHostError(AccessError):
    """The request is meant for another host."""

    code = "foreign_host"


class ForeignOriginError(AccessError):
    """Another site's page sends it."""

    code = "foreign_origin"


class UnauthorizedError(AccessError):
    """No key, or an unknown one."""

    code = "unauthorized"


class ForbiddenError(AccessError):
    """The key's role does not suffice."""

    code = "forbidden"


class RequestError(ServiceError):
    """The whole request is refused."""

    code = "bad_request"


class MalformedJsonError(RequestError):
    """The body is not JSON."""

    code = "malformed_json"


class MalformedPathError(RequestError):
    """The path's percent-encoding is broken, or what it encodes is not UTF-8."""

    code = "malformed_path"


class MediaTypeError(RequestError):
    """The body does not say that it is JSON."""

    code = "unsupported_media_type"


class EncodingError(RequestError):
    """The body is compressed in a way that is not known here."""

    code = "unsupported_encoding"


class MalformedEncodingError(RequestError):
    """The body is not compressed as it says."""

    code = "malformed_encoding"


class InvalidFieldError(RequestError):
    """A field is missing, unknown, of a wrong type or beyond a limit."""

    code = "invalid_field"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}" if field else problem, field=field)
        self.field, self.problem = field, problem

    def below(self, outer: str) -> "InvalidFieldError":
        """The same where the field lies in another one."""
        return InvalidFieldError(f"{outer}.{self.field}".rstrip("."), self.problem)


class MutationRefusedError(RequestError):
    """An item of a batch of changes cannot be done; nothing of the batch was."""

    code = "mutation_refused"


class MutationTargetError(RequestError):
    """An item names a node or an edge that is not stored; nothing of the batch was done."""

    code = "unknown_target"


class KeyReusedError(RequestError):
    """An idempotency key came with another batch before."""

    code = "key_reused"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the idempotency key {shortened(key)!r} came with another batch before; "
            "use a new key for a new batch"
        )


class BodyTooLargeError(RequestError):
    """The body has more bytes than allowed."""

    code = "body_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body has more than {limit:,} bytes", limit=limit)


class UnknownModelError(RequestError):
    """No model of that name."""

    code = "unknown_model"

    def __init__(self, name: str, served: str) -> None:
        super().__init__(f"no model {shortened(name)!r}; {served!r} is served", served=served)


class NoNodeError(RequestError):
    """Not one node can be answered: the first one's error stands for the request."""

    code = "no_node"

    def __init__(self, node_code: str, message: str, details: Mapping[str, Detail]) -> None:
        super().__init__(message, **details)
        self.node_code = node_code


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


class TeacherError(NodeError):
    """The teacher gave no usable answer.

    Attributes:
        reason: the teacher's own words, for the log alone.
        of_question: the question is to blame, or may be: others may well be answered.
    """

    code = "teacher_failed"

    def __init__(self, message: str, reason: str = "", of_question: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.of_question = of_question


class TeacherBusyError(NodeError):
    """Too many questions wait for the teacher."""

    code = "teacher_busy"
    retry_after = 1.0


def shortened(words: str) -> str:
    """A client's own words, cut to what a message can bear."""
    return words if len(words) <= SHOWN_CHARACTERS else words[:SHOWN_CHARACTERS] + "…"
