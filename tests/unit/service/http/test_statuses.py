"""Every error that a request can meet has a status, and no two share a code."""

from collections.abc import Iterator

from service.errors import NoNodeError, RequestError
from service.http.errors import STATUS_OF, STATUS_OF_CODE, failure_response, status_of
from understudy.engine.errors import ChangeError, EngineError, NodeError


def subclasses(kind: type[EngineError]) -> Iterator[type[EngineError]]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def test_codes_are_distinct() -> None:
    codes = [kind.code for kind in subclasses(EngineError)]
    assert len(codes) == len(set(codes))


NEVER_MET = {  # at the start of the process, or roots of others
    "SettingsError",
    "AddressError",
    "WorkersError",
    "BackupError",
    "InvalidArgumentError",  # of Python; bodies are checked as they are read
    "UnusableTextError",  # likewise
    "BundleForeignError",
    "BundleMismatchError",
    "AccessError",
    "WireError",
    "RequestError",
    "ServiceError",
    "ChangeError",
    "MutationItemError",
    "NodeError",
    "NoNodeError",  # takes a node's status
}


def test_every_error_of_a_request_has_a_status() -> None:
    met = {kind for kind in subclasses(EngineError) if kind.__name__ not in NEVER_MET}
    assert met == STATUS_OF.keys()
    clients = {
        kind for root in (RequestError, ChangeError, NodeError) for kind in subclasses(root)
    } & met
    assert all(400 <= STATUS_OF_CODE[kind.code] < 500 for kind in clients)


def test_any_other_error_is_ours() -> None:
    assert status_of(EngineError("what")) == 500


def test_who_is_asked_to_come_again_is_told_when_also_for_a_nodes_error() -> None:
    """The request's error may be that of its only node."""
    for kind, status in STATUS_OF.items():
        if kind.retry_after is not None:
            for path in ("/classify", "/v1/decisions", "/v2/models/m/infer"):
                answer = failure_response(NoNodeError(kind.code, "words", {}), path)
                assert (answer.status_code, answer.headers["retry-after"]) == (status, "1")
