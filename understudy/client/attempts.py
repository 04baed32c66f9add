"""When a request is sent again, and how its answers reach the waiting callers.

Everything is generators that do not touch the network: they yield a `Request` to send, or seconds
to wait, and are sent the response. So both clients share everything but the sending itself.
"""

import random
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from understudy.client.calls import UNREADABLE, Request, refusal_of
from understudy.client.errors import (
    ClientError,
    InvalidRequestError,
    UnavailableError,
    UnexpectedAnswerError,
)

RETRIED_STATUSES = (429, 503)
# From a proxy that does not reach the service, for example during a restart; the service's own
# answers with these statuses are final.
PROXY_STATUSES = (502, 504)
Part = TypeVar("Part")
Result = TypeVar("Result")
# Yields requests, is sent their answers or errors, and returns the combined result.
Plan = Generator[Request[Part], Part, Result]
# Yields requests to send and is sent responses; or yields seconds to wait and is sent None.
Steps = Generator[Request[Any] | float, httpx.Response | None, Result]


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, and after which pauses, a request is sent again.

    Raises:
        InvalidRequestError: a number makes no sense.
    """

    attempts: int = 4  # of one request, including the first
    first_pause: float = 0.2  # seconds; doubles with every attempt
    longest_pause: float = 10.0  # seconds, even if the service asks for more

    def __post_init__(self) -> None:
        if not isinstance(self.attempts, int) or self.attempts < 1:
            raise InvalidRequestError(
                f"attempts is {self.attempts!r}; give a whole number of at least 1"
            )
        for name in ("first_pause", "longest_pause"):
            seconds = getattr(self, name)
            if not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
                raise InvalidRequestError(f"{name} is {seconds!r}; give seconds, at least 0")

    def pause(self, attempt: int, response: httpx.Response | None) -> float:
        """Seconds to wait after attempt number `attempt`, counted from 0."""
        retry_after = response.headers.get("retry-after", "") if response is not None else ""
        doubled: float = self.first_pause * 2**attempt * random.uniform(0.5, 1.5)
        seconds = retry_after.isascii() and retry_after.isdigit()  # proxies may send a date instead
        wanted = max(float(retry_after), doubled) if seconds else doubled
        return min(wanted, self.longest_pause)


def steps(plan: Plan[Any, Result], retries: Retries, where: str) -> Steps[Result]:
    """Carries out a plan's requests, one after the other.

    Args:
        where: the service, for messages.
    """
    try:
        request = next(plan)
        while True:
            try:
                answer = yield from attempts(request, retries, where)
            except ClientError as error:
                request = plan.throw(error)
            else:
                request = plan.send(answer)
    except StopIteration as end:
        result: Result = end.value
        return result


def attempts(request: Request[Result], retries: Retries, where: str) -> Steps[Result]:
    """Sends a request until there is an answer.

    Raises:
        InvalidRequestError, RefusedError, UnavailableError, UnexpectedAnswerError: see
            `understudy.client.errors`.
    """
    problem = code = ""
    number = retries.attempts if request.retried else 1
    for attempt in range(number):
        response, code = None, ""
        try:
            response = yield request
            assert response is not None
            if response.status_code not in RETRIED_STATUSES:
                try:
                    return request.answer(response)
                except UnexpectedAnswerError:
                    if response.status_code not in PROXY_STATUSES:
                        raise
            problem, code = refusal_for_now(response)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            problem = worth_repeating(error)
        if attempt + 1 < number:
            yield retries.pause(attempt, response)
    what = "refuses for now" if code else "does not answer"
    raise UnavailableError(
        f"{where} {what}: the last of {number} attempts failed with {problem}", code
    )


def refusal_for_now(response: httpx.Response) -> tuple[str, str]:
    """Describes an answer that is worth asking again, and gives the service's error code.

    The code is empty if the answer is not the service's, for example that of a proxy.
    """
    status = f"status {response.status_code}"
    try:
        refused = refusal_of(response)
    except UNREADABLE:
        return status, ""
    return f"{status}, {refused}", refused.code


def check_open(closed: bool, where: str) -> None:
    """Refuses to send anything once a client's connections are closed.

    Raises:
        InvalidRequestError: they are.
    """
    if closed:
        raise InvalidRequestError(
            f"this client of {where} is closed, as it is after its `with` block; make another one"
        )


def worth_repeating(error: httpx.RequestError | httpx.InvalidURL) -> str:
    """Explains why a request without an answer is worth sending again.

    Raises:
        InvalidRequestError: the request could not be sent at all.
        UnexpectedAnswerError: there was an answer, but it cannot be read.
    """
    if isinstance(error, httpx.InvalidURL | httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        raise InvalidRequestError(f"the request cannot be sent: {error}") from error
    if not isinstance(error, httpx.TransportError):
        raise UnexpectedAnswerError(f"the answer cannot be read: {error}") from error
    return f"{type(error).__name__}: {error}".rstrip(": ")
