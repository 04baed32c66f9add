"""The interface of a served teacher, and its implementation for OpenAI-compatible servers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from service.errors import SettingsError, TeacherError
from understudy.endpoint.asker import Asker, Reply
from understudy.endpoint.errors import (
    AddressError,
    EndpointError,
    LateError,
    MalformedError,
    RefusedError,
    UnreachableError,
)
from understudy.endpoint.opening import open_asker
from understudy.endpoint.options import ClientOptions, Constraint, check_address
from understudy.graph.prompts import Prompt

WRONG_CONSTRAINT = frozenset({400, 422})


@dataclass(frozen=True, slots=True)
class Opinion:
    """A teacher's answer to one question."""

    label: str
    scores: Mapping[str, float] | None = None  # probability of every label, if available


class TeacherBackend(Protocol):
    """Answers one question per call; calls may run concurrently."""

    @property
    def name(self) -> str:
        """Identifies the teacher, so that answers of different ones are not mixed."""

    async def ask(self, prompt: Prompt, label_names: Sequence[str]) -> Opinion:
        """Asks one question.

        Raises:
            TeacherError: there is no usable answer.
        """

    async def close(self) -> None: ...


def check_endpoint(whose: str, url: str, key: str) -> None:
    """Refuses an address or key that no request can be sent with.

    Args:
        whose: prefix of the settings.

    Raises:
        SettingsError: the URL is not HTTP, or the key cannot be sent in a header.
    """
    try:
        check_address(url, key)
    except AddressError as error:
        flag = f"--{whose}-{error.part}"
        problem = f"{flag} is {error}" if error.part == "url" else f"{flag} holds {error}"
        raise SettingsError(problem, setting=f"{whose}_{error.part}") from error


class EndpointTeacher:
    """A teacher behind an endpoint of any form.

    Attributes:
        closed: whether it can no longer be asked.
    """

    def __init__(self, asker: Asker, name: str, constraint: Constraint = "none") -> None:
        """Takes ownership of the asker.

        Args:
            constraint: how the server is restricted to the labels; named if it refuses.
        """
        self.asker, self.name, self.constraint = asker, name, constraint
        self.closed = False

    async def ask(self, prompt: Prompt, label_names: Sequence[str]) -> Opinion:
        """See `TeacherBackend`."""
        try:
            reply = await self.asker.ask(prompt, label_names)
        except EndpointError as error:
            raise self.failure(error) from error
        if reply.text is None:
            raise TeacherError(
                "the teacher does not answer in the form of OpenAI's API", reason="no content"
            )
        if reply.label is None:
            raise TeacherError("the teacher's answer is none of the labels", of_question=True)
        return Opinion(label_names[reply.label], scores_of(reply, label_names))

    def failure(self, error: EndpointError) -> TeacherError:
        """Converts an error to one of this room."""
        reasons = [error.reason]
        if isinstance(error, RefusedError):
            if error.status in WRONG_CONSTRAINT and self.constraint not in ("auto", "none"):
                reasons.append(
                    f"if it does not know the constraint {self.constraint}, choose another with "
                    "--teacher-constraint"
                )
            message = f"the teacher {error}"
        elif isinstance(error, LateError):
            message = "the teacher did not answer in time"
        elif isinstance(error, UnreachableError):
            message = "the teacher cannot be reached"
        elif isinstance(error, MalformedError):
            message = str(error).replace("the answer", "the teacher's answer", 1)
        else:
            message = "the teacher did not answer"
        reason = "; ".join(filter(None, reasons))
        return TeacherError(message, reason=reason, of_question=error.of_question)

    async def close(self) -> None:
        self.closed = True
        await self.asker.close()


def scores_of(reply: Reply, label_names: Sequence[str]) -> dict[str, float] | None:
    if reply.log_probabilities is None:
        return None
    probabilities = np.exp(reply.log_probabilities).tolist()
    return dict(zip(label_names, probabilities, strict=True))


def endpoint_teacher(
    options: ClientOptions, descriptions: Mapping[str, str] | None = None, measured: str = ""
) -> EndpointTeacher:
    """Makes a teacher that is asked through the API that the options name.

    Args:
        descriptions: label → a description, used if the prompts do not contain it.
        measured: digests that distinguish this bundle's teacher from those of other bundles.
    """
    asker = open_asker(options, descriptions)
    name = " ".join(filter(None, (f"{options.url}#{options.model}", asker.form, measured)))
    constraint = options.constraint if options.wire == "chat" else "none"
    return EndpointTeacher(asker, name, constraint)
