"""The operations of whoever runs the service: health, description, reloading."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from msgspec import Meta, Struct

from service.http.access import Role
from service.inference.current import Reloader, Slot
from service.routes.operations import Answer, Call, Examples, Operation
from service.telemetry.health import Health
from understudy.bundle import EncoderInfo, GraphInfo, StudentInfo
from understudy.engine.engine import Engine
from understudy.engine.limits import Limits


class Status(Struct, frozen=True):
    """Of the process or of the model."""

    status: Annotated[str, Meta(description="ok")] = "ok"


class Info(Struct, frozen=True):
    """The bundle that answers, and what may be asked of it."""

    model: Annotated[str, Meta(description="The bundle's name.")]
    model_version: Annotated[str, Meta(description="A digest of the bundle's files.")]
    created: Annotated[str, Meta(description="When the bundle was made, UTC.")]
    made_by: Annotated[str, Meta(description="The release that made it.")]
    student: StudentInfo
    encoder: EncoderInfo
    graph: Annotated[GraphInfo, Meta(description="As it was exported.")]
    graph_version: Annotated[int, Meta(description="How many times the graph has changed since.")]
    durable: Annotated[bool, Meta(description="Whether its changes outlive the process.")]
    labels: tuple[str, ...]
    metrics: Annotated[
        dict[str, float], Meta(description="Of the student, measured when it was trained.")
    ]
    provider: Annotated[str, Meta(description="What runs the networks: cpu or cuda.")]
    limits: Limits
    teacher: Annotated[bool, Meta(description="Whether there is a teacher to ask.")]


def describe_engine(engine: Engine, teacher: bool) -> Info:
    manifest = engine.manifest
    return Info(
        model=manifest.name,
        model_version=engine.model_version,
        created=manifest.created,
        made_by=manifest.made_by,
        student=manifest.student,
        encoder=manifest.encoder,
        graph=manifest.graph,
        graph_version=engine.state.version,
        durable=engine.durable,
        labels=manifest.label_names,
        metrics=dict(manifest.metrics),
        provider=engine.provider,
        limits=engine.limits,
        teacher=teacher,
    )


class Reloaded(Struct, frozen=True):
    """The bundle that answers from now on."""

    model: str
    model_version: str
    previous_version: Annotated[str, Meta(description="Of the bundle that answered before.")]
    seconds: Annotated[float, Meta(description="That opening and checking it took.")]


class Operating:
    def __init__(self, slot: Slot, health: Health, reloader: Reloader, teacher: bool) -> None:
        self.slot = slot
        self.health = health
        self.reloader = reloader
        self.teacher = teacher

    async def live(self, _: Call) -> Answer:
        return Answer(Status())

    async def ready(self, _: Call) -> Answer:
        await self.health.check()
        return Answer(Status())

    async def info(self, _: Call) -> Answer:
        return Answer(describe_engine(self.slot.engine, self.teacher))

    async def reload(self, _: Call) -> Answer:
        reload = await self.reloader.reload()
        engine = reload.engine
        return Answer(
            Reloaded(
                engine.manifest.name, engine.model_version, reload.previous_version, reload.seconds
            )
        )

    def operations(self) -> list[Operation]:
        """Health is asked by machines that hold no key, so anyone may."""
        ok = Examples(response=Status())
        return [
            operation(
                "live",
                "GET",
                "/health/live",
                Role.anyone,
                "Whether the process is up",
                self.live,
                Status,
                (),
                lambda: ok,
            ),
            operation(
                "ready",
                "GET",
                "/health/ready",
                Role.anyone,
                "Whether a real inference passed lately, and it is not ending",
                self.ready,
                Status,
                (503,),
                lambda: ok,
            ),
            operation(
                "info",
                "GET",
                "/info",
                Role.read,
                "What is being served",
                self.info,
                Info,
                (),
                lambda: Examples(response=describe_engine(self.slot.engine, self.teacher)),
            ),
            operation(
                "reload",
                "POST",
                "/admin/reload",
                Role.admin,
                "Serve the bundle that lies in its folder now",
                self.reload,
                Reloaded,
                (409, 422),
                Examples,
            ),
        ]


def operation(
    name: str,
    method: str,
    path: str,
    role: Role,
    summary: str,
    handle: Callable[[Call], Awaitable[Answer]],
    response: type[Struct],
    statuses: tuple[int, ...],
    examples: Callable[[], Examples],
) -> Operation:
    return Operation(
        name=name,
        method=method,
        path=path,
        role=role,
        tag="operations",
        summary=summary,
        handle=handle,
        response=response,
        statuses=statuses,
        examples=examples,
    )
