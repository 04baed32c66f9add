"""Errors of this room. They know nothing of HTTP.

EngineError
├── InvalidArgumentError     an argument of the Python interface has the wrong type or value
├── BundleMismatchError      the parts of a bundle do not fit each other
├── BundleForeignError       a bundle is of another graph than the one that is served
├── InferenceError           the networks gave no usable answer
├── NotReadyError            not possible now, but soon
├── JournalFailedError       a change cannot be made durable
│   ├── LogUnavailableError  the log cannot be reached at the moment
│   └── ChangeUnsureError    it is not known yet whether the log has the change
├── BackupError              a backup cannot be made or restored
├── ChangeError              a batch of changes is refused
│   ├── MutationItemError    because of one of its items
│   │   ├── MutationRefusedError the item cannot be applied
│   │   └── MutationTargetError  it names a node or an edge that is not stored
│   └── KeyReusedError       the idempotency key was used for another batch
└── NodeError                one node of a request is refused, the others are answered
    ├── IncompleteNodeError  neither an id nor a text
    ├── UnknownNodeError     no stored node has that id
    ├── UnknownNeighborError a neighbour is not stored
    ├── EmptyTextError       only white space
    ├── UnusableTextError    a lone surrogate, which cannot be encoded
    ├── TextTooLongError     more characters than allowed
    └── TooManyNeighborsError
"""

from collections.abc import Sequence
from typing import ClassVar, Self

from understudy.portable_errors import PortableError

Detail = str | int | list[str]

SHOWN_CHARACTERS = 100  # of a client's text in a message
SHOWN_ITEMS = 10


class EngineError(PortableError):
    """Root of every expected error of the engine, and of those that the service adds.

    Attributes:
        code: stable identifier for clients.
        details: named values that belong to the message.
    """

    code: ClassVar[str] = "engine_error"
    retry_after: float | None = None  # seconds after which a retry may succeed

    def __init__(self, message: str, **details: Detail) -> None:
        super().__init__(message)
        self.details = details


class InvalidArgumentError(EngineError, ValueError):
    """An argument of the Python interface has the wrong type or value; nothing was done."""

    code = "invalid_argument"


class BundleMismatchError(EngineError):
    """The parts of a bundle do not fit each other."""

    code = "bundle_mismatch"


class BundleForeignError(EngineError):
    """A bundle is of another graph than the one that is served."""

    code = "bundle_foreign"


class InferenceError(EngineError):
    """The networks gave no usable answer."""

    code = "inference_failed"


class NotReadyError(EngineError):
    """Not possible now, but soon."""

    code = "not_ready"
    retry_after = 1.0


class JournalFailedError(EngineError):
    """A change cannot be made durable; nothing was done."""

    code = "journal_failed"
    retry_after = 1.0


class LogUnavailableError(JournalFailedError):
    """The log cannot be reached at the moment; nothing was done, and reading remains possible."""

    code = "log_unavailable"


class ChangeUnsureError(JournalFailedError):
    """A change may be in the log; repeated under its key, it is applied once."""

    code = "change_unsure"


class BackupError(EngineError):
    """A backup cannot be made or restored."""

    code = "backup_failed"


class ChangeError(EngineError):
    """A batch of changes is refused."""

    code = "change_refused"


class MutationItemError(ChangeError):
    """A batch of changes is refused because of an item; nothing of it was applied.

    Attributes:
        problem: what is wrong with the item.
        position: of the item in the batch; None: the batch itself is at fault.
        field: of the item, such as target; empty: the item as a whole.
    """

    code = "mutation_item"

    def __init__(self, problem: str, position: int | None = None, field: str = "") -> None:
        message, details = problem, dict[str, Detail]()
        if position is not None:
            message, details["position"] = f"mutation {position}: {problem}", position
            if field:
                details["field"] = f"mutations.{position}.{field}"
        super().__init__(message, **details)
        self.problem, self.position, self.field = problem, position, field

    def sent_as(self, field: str) -> Self:
        """Makes the same error for a caller that sent no batch but one change, with this field."""
        error = type(self)(f"{field}: {self.problem}" if field else self.problem)
        error.details = {"field": field} if field else {}
        return error


class MutationRefusedError(MutationItemError):
    """An item of a batch of changes cannot be applied; nothing of the batch was."""

    code = "mutation_refused"


class MutationTargetError(MutationItemError):
    """An item names a node or an edge that is not stored; nothing of the batch was applied."""

    code = "unknown_target"


class KeyReusedError(ChangeError):
    """The idempotency key was used for another batch."""

    code = "key_reused"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the idempotency key {shortened(key)!r} was already used for another batch; use a new "
            "key for a new batch"
        )


class NodeError(EngineError):
    """One node of a request is refused, the others are answered."""

    code = "bad_node"


class IncompleteNodeError(NodeError):
    """A node has neither an id nor a text."""

    code = "incomplete_node"


class UnknownNodeError(NodeError):
    """No stored node has that id."""

    code = "unknown_node"

    def __init__(self, node_id: str, classified: bool = True) -> None:
        """Makes the error.

        Args:
            classified: whether its answer was asked for, which an unseen node may have, too.
        """
        node_id = shortened(node_id)
        advice = "; send its text to classify an unseen node" if classified else ""
        super().__init__(f"no stored node has the id {node_id!r}{advice}", id=node_id)


class UnknownNeighborError(NodeError):
    """A neighbour is not stored."""

    code = "unknown_neighbor"

    def __init__(self, neighbors: Sequence[str]) -> None:
        shown = [shortened(neighbor) for neighbor in neighbors[:SHOWN_ITEMS]]
        more = f" (and {len(neighbors) - 1:,} more)" if len(neighbors) > 1 else ""
        super().__init__(f"the neighbor {shown[0]!r} is not a stored node{more}", neighbors=shown)


class EmptyTextError(NodeError):
    """A text is only white space."""

    code = "empty_text"


class UnusableTextError(NodeError):
    """A text holds a lone surrogate, which cannot be encoded; impossible over HTTP."""

    code = "unusable_text"


class TextTooLongError(NodeError):
    """A text has more characters than allowed."""

    code = "text_too_long"

    def __init__(self, characters: int, limit: int) -> None:
        super().__init__(
            f"the text has {characters:,} characters; at most {limit:,} are allowed", limit=limit
        )


class TooManyNeighborsError(NodeError):
    """A node has more neighbours than allowed."""

    code = "too_many_neighbors"

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(
            f"there are {count:,} neighbors; at most {limit:,} are allowed", limit=limit
        )


def shortened(words: str, characters: int = SHOWN_CHARACTERS) -> str:
    """Cuts a client's text to a length that fits a message."""
    return words if len(words) <= characters else words[:characters] + "…"
