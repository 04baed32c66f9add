"""Errors in the form of each API."""

from typing import Any

import msgspec
import pytest

from service.errors import (
    ForbiddenError,
    InvalidFieldError,
    MalformedJsonError,
    NoUpstreamError,
    RateLimitedError,
    UpstreamError,
)
from service.http.errors import failure_response
from understudy.engine.errors import EngineError, UnknownNodeError


def failure_of(error: Exception, path: str) -> tuple[int, Any]:
    answer = failure_response(error, path)
    return answer.status_code, msgspec.json.decode(bytes(answer.body))


@pytest.mark.parametrize(
    ("error", "status", "kind", "param"),
    [
        (InvalidFieldError("questions.0", "no"), 422, "invalid_request_error", "questions.0"),
        (UnknownNodeError("a"), 404, "invalid_request_error", None),
        (NoUpstreamError(), 400, "invalid_request_error", None),
        (ForbiddenError("no"), 403, "authentication_error", None),
        (RateLimitedError(2), 429, "rate_limit_error", None),
        (UpstreamError("is away"), 502, "api_error", None),
    ],
)
def test_below_v1_it_is_openais(
    error: EngineError, status: int, kind: str, param: str | None
) -> None:
    for path in ("/v1/decisions", "/v1/models", "/v1"):
        found, body = failure_of(error, path)
        assert (found, body["error"]) == (
            status,
            {"message": str(error), "type": kind, "param": param, "code": error.code},
        )


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (UnknownNodeError("a"), 404, "not_found"),
        (NoUpstreamError(), 400, "api_usage_error"),
        (ForbiddenError("no"), 403, "authentication_error"),
        (RateLimitedError(2), 429, "rate_limit_error"),
        (UpstreamError("is away"), 502, "api_error"),
    ],
)
def test_of_systemone_it_is_its_own(error: EngineError, status: int, kind: str) -> None:
    found, body = failure_of(error, "/v1/systemone")
    assert found == status
    assert body["detail"] == {"error_type": kind, "message": f"{error.code}: {error}"}


@pytest.mark.parametrize(
    ("error", "way"),
    [
        (InvalidFieldError("questions.a.type", "no"), ["body", "questions", "a", "type"]),
        (MalformedJsonError("no"), ["body"]),
    ],
)
def test_of_a_wrong_body_systemone_says_where(error: EngineError, way: list[str]) -> None:
    violation = {"loc": way, "msg": str(error), "type": error.code}
    assert failure_of(error, "/v1/systemone") == (422, {"detail": [violation]})


@pytest.mark.parametrize("path", ["/classify", "/v10/a", "/v20"])
def test_of_any_other_path_an_error_has_our_own_form(path: str) -> None:
    assert failure_of(UnknownNodeError("a"), path)[1]["error"]["details"] == {"id": "a"}
