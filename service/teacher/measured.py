"""Whether the teacher at its address is the one that was measured with the student.

A bundle records how its teacher was asked, how accurate it was, and what deferring to it brings.
With other questions or another teacher, none of these figures hold.
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

CHECK_SECONDS = 60.0  # after which a teacher is asked again who it is
PAUSE_SECONDS = 1.0  # before one that could not be reached is asked again in the background
MAX_SECONDS = 5.0  # that it may take to say so
MAX_BYTES = 2**20  # that are read of what it says
SHOWN = 12  # digits of a digest in a message
PROMPT_FIELDS = {option.name for option in fields(PromptOptions)}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QuestionSettings:
    """What the settings say of questions; what they do not say is as the bundle has it."""

    hops: int | None = None
    prompts: Mapping[str, Any] = field(default_factory=dict)  # fields of `PromptOptions`

    @property
    def values(self) -> dict[str, Any]:
        return ({} if self.hops is None else {"hops": self.hops}) | dict(self.prompts)


def question_options(manifest: Manifest, given: QuestionSettings) -> QuestionOptions:
    """How the bundle's teacher was asked; without one, as the settings say.

    Raises:
        SettingsError: a setting says otherwise.
    """
    record = manifest.teacher
    if record is None:
        plain = QuestionOptions()
        hops = plain.hops if given.hops is None else given.hops
        return QuestionOptions(hops, replace(plain.prompts, **given.prompts))
    known = {name: value for name, value in record.prompts.items() if name in PROMPT_FIELDS}
    options = QuestionOptions(record.hops, msgspec.convert(known, PromptOptions))
    measured = {"hops": options.hops, **asdict(options.prompts)}
    for name, wanted in given.values.items():
        if wanted != measured[name]:
            raise SettingsError(
                f"--teacher-{name.replace('_', '-')} is {wanted}, but the bundle's teacher was "
                f"measured with {measured[name]}; leave the option out",
                setting=f"teacher_{name}",
            )
    return options


def check_reload(manifest: Manifest, given: QuestionSettings) -> None:
    """Refuses a bundle whose teacher is asked otherwise than the settings say.

    Raises:
        ReloadError: it is.
    """
    try:
        question_options(manifest, given)
    except SettingsError as error:
        raise ReloadError(str(error)) from error


def asked_model(manifest: Manifest, given: str) -> str:
    """What is asked for: an endpoint's own name, where the bundle has one and none is given."""
    if not given and manifest.teacher and manifest.teacher.kind == "endpoint":
        return manifest.teacher.model
    return given or "teacher"


class Served(Struct):
    """What `understudy teacher-serve` tells of itself, beside a model's name."""

    model_hash: str
    weights: str
    prompt_hash: str


class Model(Struct):
    id: str
    understudy: Served | None = None


class Models(Struct):
    """Of GET /models, what is read."""

    data: list[Model]


DECODER = msgspec.json.Decoder(Models)
State = Literal["same", "untold", "other", "unreachable"]


class Verdict(Struct, frozen=True):
    """Whether the teacher that is asked is the one that was measured."""

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
    """Asks the teacher who it is: at the start, before `auto` defers to it, and once a minute."""

    def __init__(self, url: str, model: str, key: str, seconds: float) -> None:
        """Keeps where it is asked.

        Args:
            url: up to and without /models.
            model: that questions ask for; empty: the bundle's, see `asked_model`.
            seconds: after which no answer is waited for.
        """
        self.url, self.model = f"{url.rstrip('/')}/models", model
        # Compressed, a small answer could become one without end.
        self.headers = {"accept-encoding": "identity"}
        if key:
            self.headers["authorization"] = f"Bearer {key}"
        self.seconds = min(seconds, MAX_SECONDS)
        self.turn = asyncio.Lock()  # one question at a time
        self.asking: asyncio.Task[Verdict] | None = None  # in the background
        self.begun = 0.0  # monotonic, when that was
        self.identity = ""  # what it last said of itself; empty where it says nothing
        self.verdict: Verdict | None = None
        self.until = 0.0  # monotonic, for which `version` it holds
        self.checked_at = 0.0  # monotonic, when that was; who waited for it asks no more
        self.version = ""

    def begin(self, manifest: Manifest) -> None:
        """Asks in the background, so that the log says it at the start."""
        self.begun = monotonic()
        self.asking = asyncio.create_task(self.checked(manifest))

    async def close(self) -> None:
        if self.asking is not None:
            self.asking.cancel()
            await asyncio.gather(self.asking, return_exceptions=True)

    async def identified(self, manifest: Manifest) -> str:
        """What it tells of itself: at first it is waited for, then asked again in the background.

        So that what one teacher answered is not taken for the answer of the next at its address.
        """
        until = max(self.until, self.begun + PAUSE_SECONDS)
        if self.asking is None or (self.asking.done() and monotonic() >= until):
            self.begin(manifest)
        if self.verdict is None or self.version != manifest.version:  # else it may be long ago
            await self.checked(manifest)
        return self.identity

    def known(self, manifest: Manifest) -> Verdict | None:
        """The verdict for this bundle; None before the teacher was asked."""
        return self.verdict if self.version == manifest.version else None

    async def refusal(self, manifest: Manifest) -> TeacherError | None:
        """Why `auto` may not ask it."""
        verdict = await self.checked(manifest)
        if not verdict.refused:
            return None
        return TeacherError(verdict.reason)

    async def checked(self, manifest: Manifest) -> Verdict:
        """The verdict, asked for anew where it is no longer fresh; a new one is logged."""
        came = monotonic()
        async with self.turn:
            fresh = monotonic() < self.until or came < self.checked_at
            if self.verdict and self.version == manifest.version and fresh:
                return self.verdict
            verdict = await self.check(manifest)
            if verdict != self.verdict and verdict.reason:
                logger.warning("%s", verdict.reason)
            self.verdict, self.version = verdict, manifest.version
            # One that cannot be reached may be there again at any time.
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
                "untold", "the bundle holds no teacher's record: any teacher is believed"
            )
        if failure:
            return Verdict("unreachable", failure)
        return compare(record, asked_model(manifest, self.model), models)

    async def ask(self) -> bytes:
        """The start of what it tells; nothing where it refuses.

        Raises:
            httpx.HTTPError, OSError: it cannot be reached, or speaks no HTTP.
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
    """Why this release cannot ask as the measured teacher was asked; empty where it can."""
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
    """The models that a server tells; none where it has another form of telling."""
    try:
        return DECODER.decode(content).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def identity_of(models: Sequence[Model]) -> str:
    """The digests of a teacher's weights, where it tells them."""
    told = (model.understudy for model in models if model.understudy is not None)
    return next((f"{served.model_hash} {served.weights}" for served in told), "")


def compare(record: TeacherRecord, model: str, models: list[Model]) -> Verdict:
    """Whether what a server tells of itself is what the bundle holds."""
    for told in models:
        # Of an endpoint nobody knew the digests when it was measured.
        if told.understudy is not None and record.kind != "endpoint":
            return compare_digests(record, msgspec.structs.asdict(told.understudy))
    if record.kind == "endpoint" and model != record.model:
        return Verdict(
            "other",
            f"the teacher that is asked is {model!r}, the measured one was {record.model!r}; "
            "see --teacher-model",
        )
    return Verdict(
        "untold",
        f"the teacher does not say who it is, and is taken for the measured one, {record.model!r}",
    )


def compare_digests(record: TeacherRecord, told: Mapping[str, str]) -> Verdict:
    for name, words in (
        ("model_hash", "the weights"),
        ("weights", "tuned weights"),
        ("prompt_hash", "prompts"),
    ):
        measured = str(getattr(record, name))
        if told[name] != measured:
            return Verdict(
                "other",
                f"the served teacher has {words} {told[name][:SHOWN] or 'none'}, the measured one "
                f"{measured[:SHOWN] or 'none'}: serve the folder that `understudy distill` was "
                "given, or distil and export again",
            )
    return Verdict("same")
