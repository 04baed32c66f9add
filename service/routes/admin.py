"""Routes for operators: health, description, reload, the OpenAPI document."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from msgspec import Meta, Struct
from prometheus_client import CONTENT_TYPE_LATEST

from service.http.exchange import JSON
from service.parts import Parts
from service.routes.dependencies import ADMIN, ANYONE, READ, Served
from service.routes.structs import Examples, StructRoute
from service.teacher.measured import Verdict
from understudy.bundle import Deferral, EncoderInfo, GraphInfo, StudentInfo, TeacherRecord
from understudy.engine.limits import Limits


class Status(Struct, frozen=True):
    """The status of the process or of the model."""

    status: Annotated[str, Meta(description="ok")] = "ok"


class Info(Struct, frozen=True):
    """The served bundle, its limits and its teacher."""

    model: Annotated[str, Meta(description="The bundle's name.")]
    model_version: Annotated[str, Meta(description="A digest of the bundle's files.")]
    created: Annotated[str, Meta(description="When the bundle was made, UTC.")]
    made_by: Annotated[str, Meta(description="The release that made it.")]
    student: StudentInfo
    encoder: EncoderInfo
    graph: Annotated[GraphInfo, Meta(description="As exported.")]
    graph_version: Annotated[int, Meta(description="Number of changes since the import.")]
    durable: Annotated[bool, Meta(description="Whether changes outlive the process.")]
    labels: tuple[str, ...]
    metrics: Annotated[
        dict[str, float], Meta(description="Metrics of the student, measured when it was trained.")
    ]
    provider: Annotated[str, Meta(description="Device that runs the networks: cpu or cuda.")]
    limits: Limits
    teacher: Annotated[bool, Meta(description="Whether there is a teacher to ask.")]
    auto: Annotated[str, Meta(description="The rule of route auto, in one line.")]
    deferral: Annotated[
        Deferral | None, Meta(description="The effect of deferring to the teacher, on validation.")
    ]
    measured_teacher: Annotated[
        TeacherRecord | None, Meta(description="The teacher that was measured with the student.")
    ]
    served_teacher: Annotated[
        Verdict | None,
        Meta(description="Whether the current teacher is the measured one; null before the check."),
    ]


def describe_service(served: Parts) -> Info:
    engine, classifier = served.slot.engine, served.classifier
    manifest, identity_check = engine.manifest, classifier.auto.identity_check
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
        teacher=classifier.asking is not None,
        auto=classifier.auto.rule(manifest).summary,
        deferral=manifest.calibration.deferral,
        measured_teacher=manifest.teacher,
        served_teacher=None if identity_check is None else identity_check.latest_verdict(manifest),
    )


class Reloaded(Struct, frozen=True):
    """The bundle that is served from now on."""

    model: str
    model_version: str
    previous_version: Annotated[
        str, Meta(description="Version of the bundle that was served before.")
    ]
    seconds: Annotated[
        float, Meta(description="Seconds that opening and checking the bundle took.")
    ]


router = APIRouter(tags=["operations"], route_class=StructRoute)
beside = APIRouter(include_in_schema=False)  # routes outside the OpenAPI document


@router.get("/health/live", summary="Check that the process is up", dependencies=[ANYONE])
async def live() -> Status:
    return Status()


@router.get(
    "/health/ready",
    summary="Check that the service is ready: a real inference succeeded lately, and it is not "
    "shutting down",
    dependencies=[ANYONE],
    responses={503: {}},
)
async def ready(served: Served) -> Status:
    await served.health.check()
    return Status()


@router.get("/info", summary="Show what is served", dependencies=[READ])
async def info(served: Served) -> Info:
    return describe_service(served)


@router.post(
    "/admin/reload",
    summary="Reload the bundle from its folder",
    dependencies=[ADMIN],
    responses={409: {}, 422: {}},
)
async def reload(served: Served) -> Reloaded:
    done = await served.reloader.reload()
    engine = done.engine
    return Reloaded(engine.manifest.name, engine.model_version, done.previous_version, done.seconds)


@beside.get("/metrics", dependencies=[ANYONE])
async def metrics(served: Served) -> Response:
    """Renders metrics for Prometheus, which sends no key; they contain no text and no id."""
    served.look()
    team = served.team
    text = served.metrics.render() if team is None else await team.scrape(served.metrics)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


@beside.get("/openapi.json", dependencies=[READ])
async def document(request: Request, served: Served) -> Response:
    app = request.app
    content = await served.executor.run(app.state.document.render, app, root_path_of(request))
    return Response(content, media_type=JSON)


def root_path_of(request: Request) -> str:
    return str(request.scope.get("root_path", ""))


def examples(parts: Parts) -> dict[str, Examples]:
    """Makes the examples of each operation."""
    ok = Examples(response=Status())
    return {"live": ok, "ready": ok, "info": Examples(response=describe_service(parts))}
