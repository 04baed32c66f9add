"""What is being served."""

from typing import Annotated

from msgspec import Meta, Struct

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
