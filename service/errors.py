"""Errors of this room. They know nothing of HTTP: `service.http.errors` gives each its status.

ServiceError                 an EngineError, see `understudy.engine.errors`
├── SettingsError            a setting has no valid value
├── AddressError             the address cannot be listened on
├── OverloadedError          the queue is full
├── RateLimitedError         a caller exceeds its rate limit
├── DeadlineError            the answer did not come in time
├── VersionNotReachedError   the graph did not reach the requested version in time
├── SlowBodyError            the request did not arrive in time
├── WireError                the request cannot be read
│   ├── MalformedHttpError   not HTTP
│   ├── HeadTooLargeError    more bytes or headers than allowed before the body
│   └── TargetTooLongError   most of these bytes are the target's
├── ConnectionsError         too many connections are open
├── UpstreamError            the upstream server gave no usable answer
├── ReloadError              the new bundle cannot be served
├── ReloadRunningError       another reload is running
├── WorkersError             the service's processes cannot be started
├── WorkerGoneError          another process of the service gives no answer
├── AccessError              the caller is not allowed
│   ├── ForeignHostError     the request is addressed to another host
│   ├── ForeignOriginError   a page of another site sent the request
│   ├── UnauthorizedError    no key, or an unknown one
│   └── ForbiddenError       the key's role does not suffice
└── RequestError             the whole request is refused
    ├── MalformedJsonError   the body is not JSON
    ├── MalformedPathError   the path's encoding is broken
    ├── MediaTypeError       the body is not declared as JSON
    ├── EncodingError        the body's compression is not supported
    ├── MalformedEncodingError  the body is not compressed as declared
    ├── InvalidFieldError    a field is missing, unknown, of a wrong type or beyond a limit
    ├── UnknownModelError    no model of that name
    ├── NoUpstreamError      the student cannot answer, and there is no upstream server
    ├── NoNodeError          no node can be answered: carries the first node's error
    └── BodyTooLargeError    the body has more bytes than allowed

NodeError                    of the engine: one node is refused, the others are answered
├── TeacherError             the teacher gave no usable answer
└── TeacherBusyError         too many questions wait for the teacher
"""

import re
from collections.abc import Mapping

from understudy.engine.errors import Detail, EngineError, NodeError, shortened

# Limits of echoed characters; a name in a body may be as long as the body.
SHOWN_FIELD, SHOWN_PROBLEM = 200, 400
FOLDERS = re.compile(r"(?<![^\s'\"(])/(?:[^\s/:;,]+/)*(?=[^\s/])")  # of an absolute path
SERVERS = re.compile(r" at [^\s,;]+:\d+\b")  # " at host:6379"


def without_places(message: str) -> str:
    """Leaves only the last name of each absolute path, and no server's address.

    Callers need not know where files and logs lie.
    """
    return FOLDERS.sub("", SERVERS.sub("", message))


class ServiceError(EngineError):
    code = "service_error"


class SettingsError(ServiceError):
    code = "invalid_setting"


class AddressError(ServiceError):
    code = "address_unavailable"


class OverloadedError(ServiceError):
    """More is asked than can be answered.

    Attributes:
        reason: which limit was met, for metrics.
    """

    code = "overloaded"

    def __init__(self, what: str, retry_after: float, reason: str = "overloaded") -> None:
        super().__init__(f"{what}; ask again later")
        self.retry_after = retry_after
        self.reason = reason


class RateLimitedError(ServiceError):
    code = "rate_limited"

    def __init__(self, retry_after: float) -> None:
        super().__init__("more requests than a caller may send; ask again later")
        self.retry_after = retry_after


class DeadlineError(ServiceError):
    code = "deadline_passed"

    def __init__(
        self, seconds: float, advice: str = "ask again later, or for fewer nodes at once"
    ) -> None:
        within = f"within {seconds:.3g} s" if seconds else "in time"
        super().__init__(f"no answer {within}; {advice}")


class VersionNotReachedError(ServiceError):
    code = "version_not_reached"
    retry_after = 1.0

    def __init__(self, wanted: int, version: int) -> None:
        super().__init__(
            f"the graph is at version {version:,} here; version {wanted:,} did not arrive in time",
            graph_version=version,
            min_graph_version=wanted,
        )


class SlowBodyError(ServiceError):
    code = "slow_body"


class WireError(ServiceError):
    code = "unreadable_request"


class MalformedHttpError(WireError):
    code = "malformed_http"


class HeadTooLargeError(WireError):
    code = "head_too_large"


class TargetTooLongError(WireError):
    code = "target_too_long"


class MessageNotReadError(WireError):
    code = "message_not_read"


class ConnectionsError(ServiceError):
    code = "too_many_connections"
    retry_after = 1.0


class UpstreamError(ServiceError):
    code = "upstream_failed"

    def __init__(self, what: str) -> None:
        super().__init__(f"the upstream {what}")


class ReloadError(ServiceError):
    code = "reload_refused"


class ReloadRunningError(ServiceError):
    code = "reload_running"


class WorkersError(ServiceError):
    code = "workers_failed"


class WorkerGoneError(ServiceError):
    code = "worker_gone"


class AccessError(ServiceError):
    code = "no_access"


class ForeignHostError(AccessError):
    code = "foreign_host"


class ForeignOriginError(AccessError):
    code = "foreign_origin"


class UnauthorizedError(AccessError):
    code = "unauthorized"


class ForbiddenError(AccessError):
    code = "forbidden"


class RequestError(ServiceError):
    code = "bad_request"


class MalformedJsonError(RequestError):
    code = "malformed_json"


class MalformedMessageError(RequestError):
    code = "malformed_message"


class UnknownMethodError(RequestError):
    code = "unknown_method"


class MalformedPathError(RequestError):
    code = "malformed_path"


class MediaTypeError(RequestError):
    code = "unsupported_media_type"


class EncodingError(RequestError):
    code = "unsupported_encoding"


class MalformedEncodingError(RequestError):
    code = "malformed_encoding"


class InvalidFieldError(RequestError):
    code = "invalid_field"

    def __init__(self, field: str, problem: str) -> None:
        field, problem = shortened(field, SHOWN_FIELD), shortened(problem, SHOWN_PROBLEM)
        super().__init__(f"{field}: {problem}" if field else problem, field=field)
        self.field, self.problem = field, problem

    def below(self, outer: str) -> "InvalidFieldError":
        """Returns the same error with the field nested in an outer field."""
        return InvalidFieldError(f"{outer}.{self.field}".rstrip("."), self.problem)


class BodyTooLargeError(RequestError):
    code = "body_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the body has more than {limit:,} bytes; send it in several requests", limit=limit
        )


class UnknownModelError(RequestError):
    code = "unknown_model"

    def __init__(self, name: str, served: str, what: str = "model") -> None:
        super().__init__(
            f"there is no {what} {shortened(name)!r}; the served {what} is {served!r}",
            served=served,
        )


class NoUpstreamError(RequestError):
    code = "no_upstream"

    def __init__(self, reason: str = "") -> None:
        super().__init__(
            f"{reason and reason + ': '}the student answers only choices whose options are all "
            "labels of its own, about one node; this service has no upstream for anything else, "
            "see --upstream-url"
        )


class NoNodeError(RequestError):
    code = "no_node"

    def __init__(self, node_code: str, message: str, details: Mapping[str, Detail]) -> None:
        super().__init__(message, **details)
        self.node_code = node_code


def code_of(error: EngineError) -> str:
    """Returns the code by which clients identify an error."""
    return error.node_code if isinstance(error, NoNodeError) else error.code


def reason_of(error: EngineError) -> str:
    """Returns the reason under which metrics count a refusal."""
    return error.reason if isinstance(error, OverloadedError) else code_of(error)


class TeacherError(NodeError):
    """The teacher gave no usable answer.

    Attributes:
        reason: the teacher's own words, for the log only.
        of_question: whether the question may be the cause, so that others may be answered.
    """

    code = "teacher_failed"

    def __init__(self, message: str, reason: str = "", of_question: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.of_question = of_question


class TeacherBusyError(NodeError):
    code = "teacher_busy"
    retry_after = 1.0
