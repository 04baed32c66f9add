"""What is being served."""

from pydantic import BaseModel, Field

from bundle import EncoderInfo, GraphInfo, StudentInfo
from service.engine import Engine
from service.limits import Limits


class Status(BaseModel):
    """Of the process or of the model."""

    status: str = Field(description="ok", examples=["ok"])


class Info(BaseModel):
    """The bundle that answers, and what may be asked of it."""

    model: str = Field(description="The bundle's name.")
    model_version: str = Field(description="A digest of the bundle's files.")
    created: str = Field(description="When the bundle was made, UTC.")
    made_by: str = Field(description="The release that made it.")
    student: StudentInfo
    encoder: EncoderInfo
    graph: GraphInfo = Field(description="As it was exported.")
    graph_version: int = Field(description="How many times the graph has changed since.")
    labels: list[str]
    metrics: dict[str, float] = Field(description="Of the student, measured when it was trained.")
    provider: str = Field(description="What runs the networks: cpu or cuda.")
    limits: Limits


def describe_engine(engine: Engine) -> Info:
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
        labels=list(manifest.label_names),
        metrics=dict(manifest.metrics),
        provider=engine.provider,
        limits=engine.limits,
    )
