"""The Open Inference Protocol, version 2: the same answers for clients of model servers."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from msgspec import Struct

from service.errors import InvalidFieldError, UnknownModelError
from service.http.bodies import LARGE_BYTES
from service.http.exchange import EncodedResponse, Exchange, JsonBody
from service.http.guard import BINARY
from service.messages import Node, Prediction, refuse_if_any_failed
from service.parts import Parts
from service.routes.classify import ERRORS
from service.routes.dependencies import ANYONE, READ, Model, PathName, Served, Timed, model_of
from service.routes.structs import Examples, StructRoute
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
from understudy.engine.engine import Engine

PLATFORM = "onnxruntime_onnx"
MOST_MICROSECONDS = 2**64 - 1  # the largest number in gRPC
EXTENSIONS = ("binary_tensor_data",)


class Live(Struct, frozen=True):
    """The process is up."""

    live: bool = True


class Ready(Struct, frozen=True):
    """A recent test inference passed."""

    ready: bool = True


class ServerMetadata(Struct, frozen=True):
    """The server."""

    name: str
    version: str
    extensions: tuple[str, ...] = ()


class TensorMetadata(Struct, frozen=True):
    """An input or output of a model; -1 means any size."""

    name: str
    datatype: str
    shape: tuple[int, ...] = (-1,)


class ModelMetadata(Struct, frozen=True):
    """The served model."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]


class ModelReady(Struct, frozen=True):
    """Whether a model is ready."""

    name: str
    ready: bool = True


INPUTS = tuple(TensorMetadata(name, TEXT_TYPE) for name in ("id", "text", "neighbors"))
OUTPUTS = (TensorMetadata("label", TEXT_TYPE), TensorMetadata("score", SCORE_TYPE))
NEIGHBORS = msgspec.json.Decoder(tuple[str, ...])
DESCRIPTION = """
Inputs, each of type BYTES and of shape [N] or [N, 1]: `id` of stored nodes; `text` of unseen nodes;
`neighbors` of unseen nodes, each a JSON array of ids. An empty string means none. Outputs, of shape
[N]: `label` and `score`. In both directions, tensors may be sent as bytes after the JSON, as
specified by the binary tensor data extension. If a node cannot be answered, the whole request
fails, since the protocol has no errors of single items. The parameter `timeout` is in microseconds;
unknown parameters are ignored.
"""


Body = Annotated[InferRequest, Depends(JsonBody(InferRequest, read_request))]

router = APIRouter(prefix="/v2", tags=["open inference protocol"], route_class=StructRoute)
PLAIN: dict[int | str, dict[str, str]] = {404: {}, 503: {}}


async def version_of(served: Served, model: PathName, version: PathName) -> Engine:
    """Checks the model's name and version in a path, and returns the served engine.

    Raises:
        UnknownModelError: another model, or another version of it.
    """
    engine = await model_of(served, model)
    if version != engine.model_version:
        raise UnknownModelError(version, engine.model_version, "version")
    return engine


Version = Annotated[Engine, Depends(version_of)]


@router.get(
    "/health/live", summary="Check that the server is live", dependencies=[ANYONE], responses=PLAIN
)
async def oip_live() -> Live:
    return Live()


@router.get(
    "/health/ready",
    summary="Check that the server is ready",
    dependencies=[ANYONE],
    responses=PLAIN,
)
async def oip_ready(served: Served) -> Ready:
    await served.health.check()
    return Ready()


@router.get("", summary="Show the server's metadata", dependencies=[READ], responses=PLAIN)
async def oip_server(served: Served) -> ServerMetadata:
    return ServerMetadata("understudy", served.slot.engine.model_version, EXTENSIONS)


@router.get(
    "/models/{model}", summary="Show the model's metadata", dependencies=[READ], responses=PLAIN
)
async def oip_model(engine: Model) -> ModelMetadata:
    return metadata_of(engine)


@router.get(
    "/models/{model}/versions/{version}",
    summary="Show the model's metadata",
    dependencies=[READ],
    responses=PLAIN,
)
async def oip_version_model(engine: Version) -> ModelMetadata:
    return metadata_of(engine)


@router.get(
    "/models/{model}/ready",
    summary="Check that the model is ready",
    dependencies=[READ],
    responses=PLAIN,
)
async def oip_model_ready(engine: Model, served: Served) -> ModelReady:
    await served.health.check()
    return ModelReady(engine.manifest.name)


@router.get(
    "/models/{model}/versions/{version}/ready",
    summary="Check that the model is ready",
    dependencies=[READ],
    responses=PLAIN,
)
async def oip_version_model_ready(engine: Version, served: Served) -> ModelReady:
    return await oip_model_ready(engine, served)


@router.post(
    "/models/{model}/infer",
    summary="Classify nodes given as tensors",
    description=DESCRIPTION.strip(),
    dependencies=[READ],
    responses=ERRORS,
    response_model=InferResponse,
)
async def oip_infer(body: Body, _: Model, exchange: Timed, served: Served) -> EncodedResponse:
    return await infer(body, exchange, served)


@router.post(
    "/models/{model}/versions/{version}/infer",
    summary="Classify nodes given as tensors",
    description=DESCRIPTION.strip(),
    dependencies=[READ],
    responses=ERRORS,
    response_model=InferResponse,
)
async def oip_version_infer(
    body: Body, _: Version, exchange: Timed, served: Served
) -> EncodedResponse:
    return await infer(body, exchange, served)


def metadata_of(engine: Engine) -> ModelMetadata:
    version = engine.model_version
    return ModelMetadata(engine.manifest.name, (version,), PLATFORM, INPUTS, OUTPUTS)


async def infer(request: InferRequest, exchange: Exchange, served: Parts) -> EncodedResponse:
    """Classifies the rows of tensors.

    Raises:
        InvalidFieldError: the tensors are invalid.
        NoNodeError: a node cannot be answered.
    """
    seconds = timeout_seconds(request)
    if exchange.size > LARGE_BYTES:
        nodes = await served.executor.run(nodes_of, request.inputs)
    else:
        nodes = nodes_of(request.inputs)
    answer = await served.classifier.classify(exchange, nodes, 1, seconds=seconds)
    refuse_if_any_failed(answer.predictions)
    selected = select(output_tensors(answer.predictions), request)
    manifest, version = answer.engine.manifest, answer.engine.model_version
    outputs = tuple(tensor for tensor, _ in selected)
    response = InferResponse(manifest.name, version, outputs, request.id)
    if not any(binary for _, binary in selected):
        return EncodedResponse(response)
    content, headers = binary_answer(response, [binary for _, binary in selected])
    return EncodedResponse(content, headers, BINARY)


def examples(parts: Parts) -> dict[str, Examples]:
    """Makes examples of each operation about a stored node."""
    engine = parts.slot.engine
    rows = engine.state.graph.live_rows()[:1].tolist()
    name = engine.state.graph.id(rows[0]) if rows else ""
    request = InferRequest((Tensor("id", (1,), TEXT_TYPE, (name,)),), id="1")
    names = {"model": engine.manifest.name, "version": engine.model_version}
    infer = Examples(request, parameters=names)
    plain = Examples(parameters=names)
    models = dict.fromkeys(("oip_model", "oip_version_model"), plain)
    ready = dict.fromkeys(("oip_model_ready", "oip_version_model_ready"), plain)
    return {**models, **ready, "oip_infer": infer, "oip_version_infer": infer}


def timeout_seconds(request: InferRequest) -> float | None:
    """Reads the client's time limit, a parameter in microseconds; None if there is none.

    Raises:
        InvalidFieldError: it is not a whole number of microseconds.
    """
    timeout = request.parameters.get("timeout", 0)
    if type(timeout) is not int or not 0 <= timeout <= MOST_MICROSECONDS:
        raise InvalidFieldError("parameters.timeout", "expected a whole number of microseconds")
    return timeout / 1_000_000 if timeout else None


def nodes_of(inputs: Sequence[Tensor]) -> tuple[Node, ...]:
    """Converts the inputs' rows to nodes.

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
            problem = (
                f"expected [N] or [N, 1] for N values, and at least one value; there are {count:,}"
            )
            raise InvalidFieldError(f"{where}.shape", problem)
        columns[tensor.name] = tuple(map(str, tensor.data))
    if len({len(column) for column in columns.values()}) != 1:
        raise InvalidFieldError("inputs", "all inputs must have the same number of values")
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


def output_tensors(predictions: Sequence[Prediction]) -> tuple[Tensor, ...]:
    shape = (len(predictions),)
    labels = tuple(str(prediction.label) for prediction in predictions)
    scores = tuple(prediction.score or 0.0 for prediction in predictions)
    return (Tensor("label", shape, TEXT_TYPE, labels), Tensor("score", shape, SCORE_TYPE, scores))
