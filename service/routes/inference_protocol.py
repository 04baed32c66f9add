"""The Open Inference Protocol, version 2: the same answers for clients of model servers."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec import Struct

from service.aside import LARGE_BYTES
from service.errors import InvalidFieldError, NoNodeError, UnknownModelError
from service.http.access import Role
from service.inference.classifier import Classifier
from service.messages import InferenceErrorBody, Node, Prediction
from service.routes.classify import ERRORS, HEADERS
from service.routes.operations import Answer, Call, Examples, Operation
from service.routes.tensors import (
    SCORE_TYPE,
    TEXT_TYPE,
    InferRequest,
    InferResponse,
    Tensor,
    binary_answer,
    read_request,
    select,
)
from service.telemetry.health import Health

PLATFORM = "onnxruntime_onnx"
EXTENSIONS = ("binary_tensor_data",)


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


INPUTS = tuple(TensorMetadata(name, TEXT_TYPE) for name in ("id", "text", "neighbors"))
OUTPUTS = (TensorMetadata("label", TEXT_TYPE), TensorMetadata("score", SCORE_TYPE))
NEIGHBORS = msgspec.json.Decoder(tuple[str, ...])
DESCRIPTION = """
Inputs, each of type BYTES and of shape [N] or [N, 1]: `id` of stored nodes; `text` of unseen ones;
`neighbors`, each a JSON array of ids. An empty string stands for none. Outputs, of shape [N]:
`label` and `score`. Both ways tensors may be sent as bytes behind the JSON, as the binary tensor
data extension says. A node that cannot be answered fails the request, since the protocol has no
error of one item. The parameter `timeout` is in microseconds; parameters that are not known are
not read.
"""


class InferenceProtocol:
    def __init__(self, classifier: Classifier, health: Health) -> None:
        self.classifier = classifier
        self.slot = classifier.slot
        self.health = health

    def check_model(self, call: Call) -> str:
        """Sees that the path names what is served.

        Raises:
            UnknownModelError: another model, or another version of it.
        """
        engine = self.slot.engine
        name, version = engine.manifest.name, engine.model_version
        if call.parameters["model"] != name:
            raise UnknownModelError(call.parameters["model"], name)
        if call.parameters.get("version", version) != version:
            raise UnknownModelError(f"{name}, version {call.parameters['version']}", version)
        return name

    async def live(self, _: Call) -> Answer:
        return Answer(Live())

    async def ready(self, _: Call) -> Answer:
        await self.health.check()
        return Answer(Ready())

    async def server(self, _: Call) -> Answer:
        return Answer(ServerMetadata("understudy", self.slot.engine.model_version, EXTENSIONS))

    async def model(self, call: Call) -> Answer:
        name = self.check_model(call)
        version = self.slot.engine.model_version
        return Answer(ModelMetadata(name, (version,), PLATFORM, INPUTS, OUTPUTS))

    async def model_ready(self, call: Call) -> Answer:
        name = self.check_model(call)
        await self.health.check()
        return Answer(ModelReady(name))

    async def infer(self, call: Call) -> Answer:
        request: InferRequest = call.body
        self.check_model(call)
        seconds = timeout_seconds(request)
        if call.exchange.size > LARGE_BYTES:
            nodes = await self.classifier.aside.run(nodes_of, request.inputs)
        else:
            nodes = nodes_of(request.inputs)
        answer = await self.classifier.classify(call.exchange, nodes, 1, seconds=seconds)
        refuse_if_any_failed(answer.predictions)
        selected = select(output_tensors(answer.predictions), request)
        manifest, version = answer.engine.manifest, answer.engine.model_version
        outputs = tuple(tensor for tensor, _ in selected)
        response = InferResponse(manifest.name, version, outputs, request.id)
        if not any(binary for _, binary in selected):
            return Answer(response)
        content, headers = binary_answer(response, [binary for _, binary in selected])
        return Answer(response, headers, content=content)

    def operations(self) -> list[Operation]:
        """A model's paths may name its version, too."""
        anyone, read = Role.anyone, Role.read
        model = "/v2/models/{model:segment}"
        result = [
            self.plain("oip_live", "/v2/health/live", anyone, "Liveness", self.live, Live),
            self.plain("oip_ready", "/v2/health/ready", anyone, "Readiness", self.ready, Ready),
            self.plain("oip_server", "/v2", read, "What answers", self.server, ServerMetadata),
        ]
        for name, path in (("oip", model), ("oip_version", model + "/versions/{version:segment}")):
            ready = f"{path}/ready"
            result += [
                self.plain(f"{name}_model", path, read, "The model", self.model, ModelMetadata),
                self.plain(
                    f"{name}_model_ready",
                    ready,
                    read,
                    "Its readiness",
                    self.model_ready,
                    ModelReady,
                ),
                self.inference(f"{name}_infer", f"{path}/infer"),
            ]
        return result

    def inference(self, name: str, path: str) -> Operation:
        return Operation(
            name=name,
            method="POST",
            path=path,
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
            errors=InferenceErrorBody,
            read=read_request,
        )

    def plain(
        self,
        name: str,
        path: str,
        role: Role,
        summary: str,
        handle: Callable[[Call], Awaitable[Answer]],
        response: type[Struct],
    ) -> Operation:
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
            examples=lambda: Examples(parameters=self.served()),
            errors=InferenceErrorBody,
        )

    def served(self) -> dict[str, str]:
        """What the paths are to name now."""
        engine = self.slot.engine
        return {"model": engine.manifest.name, "version": engine.model_version}

    def examples(self) -> Examples:
        graph = self.slot.engine.state.graph
        rows = graph.live_rows()[:1].tolist()
        name = graph.id(rows[0]) if rows else ""
        request = InferRequest((Tensor("id", (1,), TEXT_TYPE, (name,)),), id="1")
        return Examples(request, parameters=self.served())


def timeout_seconds(request: InferRequest) -> float | None:
    """The time that a client gives, in its parameter of microseconds; None where it gives none.

    Raises:
        InvalidFieldError: it is no whole number of microseconds.
    """
    timeout = request.parameters.get("timeout", 0)
    if type(timeout) is not int or timeout < 0:
        raise InvalidFieldError("parameters.timeout", "expected microseconds, a whole number")
    return timeout / 1_000_000 if timeout else None


def nodes_of(inputs: Sequence[Tensor]) -> tuple[Node, ...]:
    """Reads the inputs' rows as nodes.

    Raises:
        InvalidFieldError: an input is unknown, of another type, or of another length.
    """
    columns: dict[str, tuple[str, ...]] = {}
    known = [entry.name for entry in INPUTS]
    for number, tensor in enumerate(inputs):
        where, count = f"inputs.{number}", len(tensor.data)
        if tensor.name not in known or tensor.name in columns:
            raise InvalidFieldError(f"{where}.name", f"expected each of {', '.join(known)} once")
        if tensor.datatype != TEXT_TYPE or not all(isinstance(v, str) for v in tensor.data):
            raise InvalidFieldError(f"{where}.datatype", f"expected {TEXT_TYPE}, and strings")
        if tensor.shape not in ((count,), (count, 1)) or not count:
            problem = f"expected [N] or [N, 1] for N values, at least one; there are {count:,}"
            raise InvalidFieldError(f"{where}.shape", problem)
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
        return NEIGHBORS.decode(value)
    except (msgspec.MsgspecError, RecursionError) as error:
        problem = f"neighbors, value {row}: expected a JSON array of ids"
        raise InvalidFieldError("inputs", problem) from error


def refuse_if_any_failed(predictions: Sequence[Prediction]) -> None:
    for prediction in predictions:
        if (error := prediction.error) is not None:
            message = f"node {prediction.index}: {error.message}"
            raise NoNodeError(error.code, message, error.details)


def output_tensors(predictions: Sequence[Prediction]) -> tuple[Tensor, ...]:
    shape = (len(predictions),)
    labels = tuple(str(prediction.label) for prediction in predictions)
    scores = tuple(prediction.score or 0.0 for prediction in predictions)
    return (Tensor("label", shape, TEXT_TYPE, labels), Tensor("score", shape, SCORE_TYPE, scores))
