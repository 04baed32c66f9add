"""The Open Inference Protocol, version 2: the same answers for clients of model servers."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct

from service.classification import ERRORS, HEADERS, refuse_if_none_answered
from service.classifier import Classifier
from service.deadlines import attend, seconds_left
from service.errors import InvalidFieldError, NoNodeError, UnknownModelError
from service.health import Health
from service.messages import Node, Prediction
from service.operations import Answer, Call, Examples, Operation
from service.roles import Role

PLATFORM = "onnxruntime_onnx"
DATA_TYPE = "BYTES"


class Live(Struct, frozen=True):
    """The process is up."""

    live: bool = True


class Ready(Struct, frozen=True):
    """A real inference passed lately."""

    ready: bool = True


class ServerMetadata(Struct, frozen=True):
    """What answers."""

    name: str
    version: str
    extensions: tuple[str, ...] = ()


class TensorMetadata(Struct, frozen=True):
    """A tensor that a model takes or gives; -1 stands for any size."""

    name: str
    datatype: str
    shape: tuple[int, ...] = (-1,)


class ModelMetadata(Struct, frozen=True):
    """The model that is served."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]


class ModelReady(Struct, frozen=True):
    """Whether a model answers."""

    name: str
    ready: bool = True


class Tensor(Struct, frozen=True, omit_defaults=True):
    """Values in a row."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    data: tuple[str | float, ...]
    parameters: dict[str, Any] = {}


class WantedOutput(Struct, frozen=True, omit_defaults=True):
    """An output by its name."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(Struct, frozen=True, omit_defaults=True):
    """Nodes as tensors."""

    inputs: Annotated[tuple[Tensor, ...], Meta(min_length=1)]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: tuple[WantedOutput, ...] = ()


class InferResponse(Struct, frozen=True, omit_defaults=True):
    """Labels and scores as tensors, in the order of the nodes."""

    model_name: str
    model_version: str
    outputs: tuple[Tensor, ...]
    id: str | None = None


INPUTS = tuple(TensorMetadata(name, DATA_TYPE) for name in ("id", "text", "neighbors"))
OUTPUTS = (TensorMetadata("label", DATA_TYPE), TensorMetadata("score", "FP32"))
DESCRIPTION = """
Inputs, each of shape [N] and type BYTES: `id` of stored nodes; `text` of unseen ones; `neighbors`,
each a JSON array of ids. An empty string stands for none. Outputs: `label` and `score`. A node
that cannot be answered fails the request, since the protocol has no error of one item.
"""


class InferenceProtocol:
    def __init__(self, classifier: Classifier, health: Health, seconds: float) -> None:
        self.classifier = classifier
        self.health = health
        self.seconds = seconds

    def check_model(self, call: Call) -> str:
        name = self.classifier.slot.engine.manifest.name
        if call.parameters["model"] != name:
            raise UnknownModelError(call.parameters["model"], name)
        return name

    async def live(self, _: Call) -> Answer:
        return Answer(Live())

    async def ready(self, _: Call) -> Answer:
        await self.health.check()
        return Answer(Ready())

    async def server(self, _: Call) -> Answer:
        return Answer(ServerMetadata("understudy", self.classifier.slot.engine.model_version))

    async def model(self, call: Call) -> Answer:
        name = self.check_model(call)
        version = self.classifier.slot.engine.model_version
        return Answer(ModelMetadata(name, (version,), PLATFORM, INPUTS, OUTPUTS))

    async def model_ready(self, call: Call) -> Answer:
        name = self.check_model(call)
        await self.health.check()
        return Answer(ModelReady(name))

    async def infer(self, call: Call) -> Answer:
        request: InferRequest = call.body
        self.check_model(call)
        plan = self.classifier.plan(nodes_of(request.inputs), top_k=1)
        if plan.immediate:
            classified = self.classifier.look_up(plan)
        else:
            seconds = seconds_left(call, self.seconds)
            classified = await attend(self.classifier.answer(plan), call.exchange, seconds)
        predictions = classified.predictions
        refuse_if_none_answered(predictions)
        refuse_if_any_failed(predictions)
        manifest, version = plan.engine.manifest, plan.engine.model_version
        outputs = select(output_tensors(predictions), request.outputs)
        return Answer(InferResponse(manifest.name, version, outputs, request.id))

    def operations(self) -> list[Operation]:
        model = "/v2/models/{model}"
        infer = Operation(
            name="oip_infer",
            method="POST",
            path=f"{model}/infer",
            role=Role.read,
            tag="open inference protocol",
            summary="Classify nodes as tensors",
            description=DESCRIPTION.strip(),
            handle=self.infer,
            request=InferRequest,
            response=InferResponse,
            statuses=ERRORS,
            headers=HEADERS,
            examples=self.examples,
        )
        anyone, read = Role.anyone, Role.read
        return [
            self.plain("oip_live", "/v2/health/live", anyone, "Liveness", self.live, Live),
            self.plain("oip_ready", "/v2/health/ready", anyone, "Readiness", self.ready, Ready),
            self.plain("oip_server", "/v2", read, "What answers", self.server, ServerMetadata),
            self.plain("oip_model", model, read, "The model", self.model, ModelMetadata),
            self.plain(
                "oip_model_ready",
                f"{model}/ready",
                read,
                "Its readiness",
                self.model_ready,
                ModelReady,
            ),
            infer,
        ]

    def plain(
        self, name: str, path: str, role: Role, summary: str, handle: Any, response: type[Struct]
    ) -> Operation:
        parameters = {"model": self.classifier.slot.engine.manifest.name}
        return Operation(
            name=name,
            method="GET",
            path=path,
            role=role,
            tag="open inference protocol",
            summary=summary,
            handle=handle,
            response=response,
            statuses=(404, 503),
            examples=lambda: Examples(parameters=parameters),
        )

    def examples(self) -> Examples:
        engine = self.classifier.slot.engine
        rows = engine.state.graph.live_rows()[:1].tolist()
        name = engine.state.graph.id(rows[0]) if rows else ""
        request = InferRequest((Tensor("id", (1,), DATA_TYPE, (name,)),), id="1")
        return Examples(request, parameters={"model": engine.manifest.name})


def nodes_of(inputs: Sequence[Tensor]) -> tuple[Node, ...]:
    """Reads the inputs' rows as nodes.

    Raises:
        InvalidFieldError: an input is unknown, of another type, or of another length.
    """
    columns: dict[str, tuple[str, ...]] = {}
    known = [entry.name for entry in INPUTS]
    for number, tensor in enumerate(inputs):
        where = f"inputs.{number}"
        if tensor.name not in known or tensor.name in columns:
            raise InvalidFieldError(f"{where}.name", f"expected each of {', '.join(known)} once")
        if tensor.datatype != DATA_TYPE or not all(isinstance(v, str) for v in tensor.data):
            raise InvalidFieldError(f"{where}.datatype", f"expected {DATA_TYPE}, and strings")
        if tensor.shape != (len(tensor.data),) or not tensor.data:
            raise InvalidFieldError(f"{where}.shape", "expected [N], the number of values")
        columns[tensor.name] = tuple(map(str, tensor.data))
    if len({len(column) for column in columns.values()}) != 1:
        raise InvalidFieldError("inputs", "expected as many values in each")
    count = len(next(iter(columns.values())))
    empty = ("",) * count
    rows = zip(*(columns.get(name, empty) for name in known), strict=True)
    return tuple(
        Node(id=own or None, text=text or None, neighbors=neighbor_ids(near, row))
        for row, (own, text, near) in enumerate(rows)
    )


def neighbor_ids(value: str, row: int) -> tuple[str, ...]:
    if not value:
        return ()
    try:
        ids = json.loads(value)
    except (ValueError, RecursionError):
        ids = None
    if not isinstance(ids, list) or not all(isinstance(entry, str) for entry in ids):
        raise InvalidFieldError("inputs", f"neighbors, value {row}: expected a JSON array of ids")
    return tuple(ids)


def refuse_if_any_failed(predictions: Sequence[Prediction]) -> None:
    for prediction in predictions:
        if (error := prediction.error) is not None:
            message = f"node {prediction.index}: {error.message}"
            raise NoNodeError(error.code, message, error.details)


def output_tensors(predictions: Sequence[Prediction]) -> dict[str, Tensor]:
    shape = (len(predictions),)
    labels = tuple(str(prediction.label) for prediction in predictions)
    scores = tuple(prediction.score or 0.0 for prediction in predictions)
    return {
        "label": Tensor("label", shape, DATA_TYPE, labels),
        "score": Tensor("score", shape, "FP32", scores),
    }


def select(tensors: dict[str, Tensor], wanted: Sequence[WantedOutput]) -> tuple[Tensor, ...]:
    """The outputs asked for, or all."""
    for number, entry in enumerate(wanted):
        if entry.name not in tensors:
            raise InvalidFieldError(f"outputs.{number}.name", "expected label or score")
    return tuple(tensors[entry.name] for entry in wanted) or tuple(tensors.values())
