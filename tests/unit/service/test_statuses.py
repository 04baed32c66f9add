"""Every error that a request can meet has a status, and no two share a code."""

from collections.abc import Iterator

from service.errors import InferenceError, NodeError, NotReadyError, RequestError, ServiceError
from service.statuses import STATUS_OF, STATUS_OF_CODE, status_of


def subclasses(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def test_codes_are_distinct() -> None:
    codes = [kind.code for kind in subclasses(ServiceError)]
    assert len(codes) == len(set(codes))


def test_every_error_of_a_request_has_a_status() -> None:
    clients = [*subclasses(RequestError), *subclasses(NodeError)]
    assert {*clients, InferenceError, NotReadyError} == STATUS_OF.keys()
    assert all(400 <= STATUS_OF_CODE[kind.code] < 500 for kind in clients)


def test_any_other_error_is_ours() -> None:
    assert status_of(ServiceError("what")) == 500
