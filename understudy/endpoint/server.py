"""The connection to one server: JSON requests, with all failures in one error tree."""

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import httpx2
import openai

from understudy.endpoint.errors import EndpointError, LateError, RefusedError, UnreachableError
from understudy.endpoint.options import ClientOptions
from understudy.endpoint.refusals import failure_in, refusal_reason
from understudy.endpoint.wire import Wire
from understudy.graph.prompts import Prompt


class Server:
    """The openai package's client without its extra headers and its retries."""

    def __init__(self, options: ClientOptions) -> None:
        self.key, self.private = options.key, options.private
        http = Wire(options.key).client(options.timeout_seconds, options.connections)
        # Only the wire knows the key, and only the caller decides what to retry.
        self.api = openai.AsyncOpenAI(
            api_key="-", base_url=options.url, http_client=http, max_retries=0
        )

    async def post(self, path: str, body: Mapping[str, Any], prompt: Prompt) -> bytes:
        """Sends one request; returns the answer's body.

        Args:
            path: below the server's URL.
            prompt: its words are not repeated in an error, if refusals are private.

        Raises:
            EndpointError: no answer with status 200, or one that reports a failure.
        """
        try:
            answer = await self.api.post(path, cast_to=httpx2.Response, body=body)
        except openai.APIStatusError as error:
            raise self.refusal(error.response, prompt) from error
        except openai.APITimeoutError as error:
            raise LateError("no answer in time") from error
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, EndpointError):
                raise error.__cause__ from None
            reason = type(error.__cause__ or error).__name__
            raise UnreachableError("cannot be reached", reason) from error
        if answer.status_code != 200:
            raise self.refusal(answer, prompt)
        if (status := failure_in(answer.content)) is not None:
            raise self.refusal(answer, prompt, status)
        return answer.content

    def refusal(
        self, response: httpx2.Response, prompt: Prompt, status: int | None = None
    ) -> RefusedError:
        body = response.content
        if response.is_redirect:  # not followed: the key is for this server only
            body = f"it redirects to {response.headers.get('location', 'nowhere')}".encode()
        reason = refusal_reason(body, prompt.description if self.private else "", self.key)
        return RefusedError(status or response.status_code, reason, retry_after(response))

    async def close(self) -> None:
        await self.api.close()


def retry_after(response: httpx2.Response) -> float | None:
    """Seconds that the server asks to wait; None if it does not say."""
    value = response.headers.get("retry-after", "")
    try:
        seconds = float(value)
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(value).timestamp() - time(), 0.0)
    except (ValueError, OverflowError):
        return None
