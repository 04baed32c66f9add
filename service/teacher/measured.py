"""Verifies that the teacher at its address is the one that was measured with the student.

A bundle records how its teacher was asked, how accurate it was, and the effect of deferring to it.
With other prompts or another teacher, none of these figures hold.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from time import monotonic
from typing import Annotated, Any, Literal

import httpx
import msgspec
from msgspec import Meta, Struct

from service.errors import ReloadError, SettingsError, TeacherError
from service.teacher.questions import QuestionOptions
from understudy.bundle import Manifest, TeacherRecord
from understudy.graph.prompts import PromptOptions, prompt_hash

CHECK_SECONDS = 60.0  # after which a teacher's identity is checked again
PAUSE_SECONDS = 1.0  # before an unreachable teacher is asked again in the background
MAX_SECONDS = 5.0  # time limit of its answer
MAX_BYTES = 2**20  # size limit of its answer
SHOWN = 12  # digits of a digest in a message
PROMPT_FIELDS = {option.name for option in fields(PromptOptions)}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QuestionSettings:
    """What the settings specify about prompts; the rest is taken from the bundle."""

    hops: int | None = None
    prompts: Mapping[str, Any] = field(default_factory=dict)  # fields of `PromptOptions`

    @property
    def values(self) -> dict[str, Any]:
        return ({} if self.hops is None else {"hops": self.hops}) | dict(self.prompts)


def question_options(manifest: Manifest, configured: QuestionSettings) -> QuestionOptions:
    """Returns how the bundle's teacher was asked; without a record, what the settings specify.

    Raises:
        SettingsError: a setting contradicts the bundle.
    """
    record = manifest.teacher
    if record is None:
        plain = QuestionOptions()
        hops = plain.hops if configured.hops is None else configured.hops
        return QuestionOptions(hops, replace(plain.prompts, **configured.prompts))
    known = {name: value for name, value in record.prompts.items() if name in PROMPT_FIELDS}
    options = QuestionOptions(record.hops, msgspec.convert(known, PromptOptions))
    measured = {"hops": options.hops, **asdict(options.prompts)}
    for name, wanted in configured.values.items():
        if wanted != measured[name]:
            raise SettingsError(
                f"--teacher-{name.replace('_', '-')} is {wanted}, but the bundle's teacher was "
                f"measured with {measured[name]}; leave the option out",
                setting=f"teacher_{name}",
            )
    return options


def check_reload(manifest: Manifest, configured: QuestionSettings) -> None:
    """Refuses a bundle whose teacher is asked differently from the settings.

    Raises:
        ReloadError: it is.
    """
    try:
        question_options(manifest, configured)
    except SettingsError as error:
        raise ReloadError(str(error)) from error


def model_to_ask(manifest: Manifest, configured: str) -> str:
    """Returns the model to ask for: the given one, or an endpoint's own name in the bundle."""
    if not configured and manifest.teacher and manifest.teacher.kind == "endpoint":
        return manifest.teacher.model
    return configured or "teacher"


class Served(Struct):
    """What `understudy teacher-serve` reports about itself, besides a model's name."""

    model_hash: str
    weights: str
    prompt_hash: str


class Model(Struct):
    id: str
    understudy: Served | None = None


class Models(Struct):
    """The parts of GET /models that are read."""

    data: list[Model]


DECODER = msgspec.json.Decoder(Models)
State = Literal["same", "untold", "other", "unreachable"]


class Verdict(Struct, frozen=True):
    """Whether the current teacher is the measured one."""

    state: Annotated[
        State,
        Meta(
            description="same; untold, where it does not say who it is and is believed; other or "
            "unreachable, where auto asks it nothing."
        ),
    ]
    reason: Annotated[str, Meta(description="In words; empty where it is the same.")] = ""

    @property
    def refused(self) -> bool:
        return self.state in ("other", "unreachable")


class IdentityCheck:
    """Checks the teacher's identity: at the start, before `auto` defers to it, once a minute."""

    def __init__(self, url: str, model: str, key: str, seconds: float) -> None:
        """Stores the address; asks nothing yet.

        Args:
            url: without /models.
            model: that questions ask for; empty: the bundle's, see `model_to_ask`.
            seconds: time limit.
        """
        self.url, self.model = f"{url.rstrip('/')}/models", model
        # Without compression, because a small compressed answer could be endless.
        self.headers = {"accept-encoding": "identity"}
        if key:
            self.headers["authorization"] = f"Bearer {key}"
        self.seconds = min(seconds, MAX_SECONDS)
        self.turn = asyncio.Lock()  # one check at a time
        self.asking: asyncio.Task[Verdict] | None = None  # the check in the background
        self.begun = 0.0  # monotonic, start of that check
        self.identity = ""  # what the teacher last reported; empty if nothing
        self.verdict: Verdict | None = None
        self.until = 0.0  # monotonic, end of the verdict's validity for `version`
        self.checked_at = 0.0  # monotonic, end of the last check; callers that waited reuse it
        self.version = ""

    def begin(self, manifest: Manifest) -> None:
        """Checks in the background, so that the result is in the log at the start."""
        self.begun = monotonic()
        self.asking = asyncio.create_task(self.checked(manifest))

    async def close(self) -> None:
        if self.asking is not None:
            self.asking.cancel()
            await asyncio.gather(self.asking, return_exceptions=True)

    async def identified(self, manifest: Manifest) -> str:
        """Returns the teacher's identity; the first check is awaited, later ones run aside.

        The identity keeps answers of different teachers at one address apart.
        """
        until = max(self.until, self.begun + PAUSE_SECONDS)
        if self.asking is None or (self.asking.done() and monotonic() >= until):
            self.begin(manifest)
        if self.verdict is None or self.version != manifest.version:  # else an old one suffices
            await self.checked(manifest)
        return self.identity

    def latest_verdict(self, manifest: Manifest) -> Verdict | None:
        """Returns the verdict for this bundle; None before the first check."""
        return self.verdict if self.version == manifest.version else None

    async def refusal(self, manifest: Manifest) -> TeacherError | None:
        """Explains why `auto` may not ask the teacher; None if it may."""
        verdict = await self.checked(manifest)
        if not verdict.refused:
            return None
        return TeacherError(verdict.reason)

    async def checked(self, manifest: Manifest) -> Verdict:
        """Returns the verdict, after a new check if it is too old; logs a changed one."""
        came = monotonic()
        async with self.turn:
            fresh = monotonic() < self.until or came < self.checked_at
            if self.verdict and self.version == manifest.version and fresh:
                return self.verdict
            verdict = await self.check(manifest)
            if verdict != self.verdict and verdict.reason:
                logger.warning("%s", verdict.reason)
            self.verdict, self.version = verdict, manifest.version
            # An unreachable teacher may be back at any time.
            self.checked_at = monotonic()
            self.until = self.checked_at + (CHECK_SECONDS if verdict.state != "unreachable" else 0)
            return verdict

    async def check(self, manifest: Manifest) -> Verdict:
        record = manifest.teacher
        if record is not None and (problem := wording_problem(record, manifest.label_names)):
            return Verdict("other", problem)
        failure = ""
        try:
            async with asyncio.timeout(self.seconds):
                models = models_of(await self.ask())
            self.identity = identity_of(models)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            failure = f"the teacher cannot be reached: {type(error).__name__}"
        if record is None:
            return Verdict(
                "untold", "the bundle has no record of a teacher: any teacher is accepted"
            )
        if failure:
            return Verdict("unreachable", failure)
        return compare(record, model_to_ask(manifest, self.model), models)

    async def ask(self) -> bytes:
        """Reads the start of the server's list of models; empty if it refuses.

        Raises:
            httpx.HTTPError, OSError: it cannot be reached, or does not speak HTTP.
        """
        parts: list[bytes] = []
        size = 0
        async with (
            httpx.AsyncClient(timeout=self.seconds, headers=self.headers) as client,
            client.stream("GET", self.url) as response,
        ):
            async for part in response.aiter_raw():
                parts.append(part)
                size += len(part)
                if size > MAX_BYTES:
                    break
            return b"".join(parts) if response.status_code == 200 else b""


def wording_problem(record: TeacherRecord, label_names: tuple[str, ...]) -> str:
    """Explains why this release cannot ask as the measured teacher was asked; empty if it can."""
    unknown = sorted(record.prompts.keys() - PROMPT_FIELDS)
    if unknown:
        return f"this release does not know the prompt options {', '.join(unknown)}; update it"
    options = msgspec.convert(record.prompts, PromptOptions)
    found = prompt_hash(options, label_names)
    if found == record.prompt_hash:
        return ""
    return (
        f"this release's prompts have the digest {found[:SHOWN]}, the measured teacher's "
        f"{record.prompt_hash[:SHOWN]}: run `understudy teach`, `distill` and `export` again"
    )


def models_of(content: bytes) -> list[Model]:
    """Decodes a server's models; none if the answer has another form."""
    try:
        return DECODER.decode(content).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def identity_of(models: Sequence[Model]) -> str:
    """Returns the digests of a teacher's weights, if it reports them."""
    records = (model.understudy for model in models if model.understudy is not None)
    return next((f"{served.model_hash} {served.weights}" for served in records), "")


def compare(record: TeacherRecord, model: str, models: list[Model]) -> Verdict:
    """Compares what a server reports about itself with the bundle's record."""
    for listed in models:
        # An endpoint's digests were unknown when it was measured.
        if listed.understudy is not None and record.kind != "endpoint":
            return compare_digests(record, msgspec.structs.asdict(listed.understudy))
    if record.kind == "endpoint" and model != record.model:
        return Verdict(
            "other",
            f"the served teacher is {model!r}, but the measured one was {record.model!r}; see "
            "--teacher-model",
        )
    return Verdict(
        "untold",
        "the teacher does not identify itself, so it is assumed to be the measured one, "
        f"{record.model!r}",
    )


def compare_digests(record: TeacherRecord, live: Mapping[str, str]) -> Verdict:
    for name, words in (
        ("model_hash", "the weights"),
        ("weights", "tuned weights"),
        ("prompt_hash", "prompts"),
    ):
        measured = str(getattr(record, name))
        if live[name] != measured:
            return Verdict(
                "other",
                f"the served teacher has {words} {live[name][:SHOWN] or 'none'}, but the measured "
                f"one {measured[:SHOWN] or 'none'}: serve the teacher folder that `understudy "
                "distill` used, or distil and export again",
            )
    return Verdict("same")
