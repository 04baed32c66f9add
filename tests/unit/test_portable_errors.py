"""Errors raised in another process."""

import copy
import pickle
from multiprocessing import get_context

import pytest

from service.errors import InvalidFieldError, OverloadedError
from understudy.client import RefusedError
from understudy.endpoint.errors import AddressError
from understudy.endpoint.errors import RefusedError as EndpointRefusedError
from understudy.engine.errors import (
    KeyReusedError,
    TextTooLongError,
    UnknownNeighborError,
    UnknownNodeError,
)
from understudy.graph.errors import MutationError
from understudy.portable_errors import PortableError

SECONDS = 60
ERRORS = (
    RefusedError(404, "unknown_node", "no stored node has the id 'x'", {"id": "x"}, "7f"),
    KeyReusedError("monday"),
    UnknownNodeError("x"),
    UnknownNeighborError(["x", "y"]),
    TextTooLongError(12, 10),
    MutationError(3, "the node is not stored"),
    AddressError("not a URL", "url"),
    EndpointRefusedError(429, "later", 2.0),
    OverloadedError("unseen nodes", 1.5),
    InvalidFieldError("top_k", "at most 100"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_copied_and_pickled_as_it_is(error: PortableError) -> None:
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is type(error)
        assert (str(again), vars(again)) == (str(error), vars(error))


def refuse(_: int) -> None:
    raise RefusedError(404, "unknown_node", "no stored node has the id 'x'", {"id": "x"}, "7f")


def test_a_pool_whose_work_was_refused_says_so() -> None:
    with get_context("fork").Pool(1) as pool, pytest.raises(RefusedError) as refused:
        pool.map_async(refuse, [0]).get(SECONDS)
    assert (refused.value.status, refused.value.details) == (404, {"id": "x"})
