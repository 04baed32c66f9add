"""Tensors of the Open Inference Protocol: as JSON, or as bytes after it.

The binary tensor data extension is the default of NVIDIA's client: a JSON header, whose length is
in a header of the request, and then the tensors' bytes in order. Each value of a BYTES tensor is
four bytes of length, little-endian, and the value.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct

from service.errors import InvalidFieldError
from service.http.exchange import Headers, decode
from service.http.repeats import look_through
from service.messages import Name, encode

TEXT_TYPE, SCORE_TYPE = "BYTES", "FP32"
LENGTH_HEADER = "inference-header-content-length"
BINARY_SIZE, BINARY_DATA, BINARY_OUTPUT = (
    "binary_data_size",
    "binary_data",
    "binary_data_output",
)
# Parameters that would change the answer and are not supported; others can be ignored safely.
UNSUPPORTED = ("classification", "shared_memory_region")

Value = str | float
Parameters = Annotated[
    dict[str, Any], Meta(description="Parameters in addition to the protocol's own fields.")
]


class Tensor(Struct, frozen=True, omit_defaults=True):
    """A row of values; `data` is left out if the values follow as bytes."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    data: tuple[Value | tuple[Value, ...], ...] = ()
    parameters: Parameters = {}


class WantedOutput(Struct, frozen=True, omit_defaults=True):
    """A requested output."""

    name: str
    parameters: Parameters = {}


class InferRequest(Struct, frozen=True, omit_defaults=True):
    """Nodes as tensors."""

    inputs: Annotated[tuple[Tensor, ...], Meta(min_length=1)]
    id: Name | None = None
    parameters: Parameters = {}
    outputs: tuple[WantedOutput, ...] = ()


class InferResponse(Struct, frozen=True, omit_defaults=True):
    """Labels and scores as tensors, in the order of the nodes."""

    model_name: str
    model_version: str
    outputs: tuple[Tensor, ...]
    id: str | None = None


DECODER = msgspec.json.Decoder(InferRequest)


def read_request(content: bytes, headers: Headers) -> InferRequest:
    """Decodes a request; the data of its inputs become flat, and strings in either form.

    Raises:
        MalformedJsonError, InvalidFieldError: it does not follow the protocol.
    """
    length = headers.get(LENGTH_HEADER.encode())
    size = len(content) if length is None else header_length(length, len(content))
    request = decode(DECODER, content[:size])
    look_through(content[:size])
    rest = memoryview(content)[size:]
    inputs = []
    for number, tensor in enumerate(request.inputs):
        refuse_unsupported(f"inputs.{number}", tensor.parameters)
        taken = binary_size(number, tensor, len(rest))
        if taken is None:
            inputs.append(msgspec.structs.replace(tensor, data=flat(tensor.data)))
        else:
            data = tuple(binary_texts(f"inputs.{number}", rest[:taken]))
            inputs.append(msgspec.structs.replace(tensor, data=data))
            rest = rest[taken:]
    if rest:
        raise InvalidFieldError("inputs", f"{len(rest):,} bytes of data belong to no tensor")
    for number, output in enumerate(request.outputs):
        refuse_unsupported(f"outputs.{number}", output.parameters)
    return msgspec.structs.replace(request, inputs=tuple(inputs))


def header_length(sent: bytes, most: int) -> int:
    if not sent.isdigit() or len(sent) > 12 or not 0 < int(sent) <= most:
        raise InvalidFieldError(
            LENGTH_HEADER, "expected the number of bytes of the JSON before the data"
        )
    return int(sent)


def refuse_unsupported(where: str, parameters: dict[str, Any]) -> None:
    for name in UNSUPPORTED:
        if name in parameters:
            raise InvalidFieldError(f"{where}.parameters.{name}", "not supported; leave it out")


def binary_size(number: int, tensor: Tensor, left: int) -> int | None:
    """Returns the number of a tensor's data bytes; None if its data are in the JSON."""
    size = tensor.parameters.get(BINARY_SIZE)
    if size is None:
        return None
    if tensor.datatype != TEXT_TYPE:
        raise InvalidFieldError(f"inputs.{number}.datatype", f"expected {TEXT_TYPE}, and strings")
    where = f"inputs.{number}.parameters.{BINARY_SIZE}"
    if type(size) is not int or not 0 <= size <= left:
        raise InvalidFieldError(where, f"expected a number of bytes, of the {left:,} that are left")
    if tensor.data:
        raise InvalidFieldError(where, "the tensor also has data in the JSON")
    return size


def binary_texts(where: str, data: memoryview) -> Iterable[str]:
    """Decodes the values of a BYTES tensor as UTF-8."""
    for value in binary_values(where, data):
        try:
            yield str(value, "utf-8")
        except UnicodeDecodeError as error:
            raise InvalidFieldError(where, "one of its values is not UTF-8") from error


def binary_values(where: str, data: memoryview) -> Iterable[bytes]:
    """Splits a BYTES tensor into its values."""
    start = 0
    while start < len(data):
        end = start + 4
        if end <= len(data):
            end += int(struct.unpack_from("<I", data, start)[0])
        if end > len(data):
            raise InvalidFieldError(where, "its bytes end in the middle of a value")
        yield bytes(data[start + 4 : end])
        start = end


def joined_texts(values: Iterable[bytes]) -> bytes:
    """Encodes values as a BYTES tensor."""
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def flat(data: Sequence[Value | tuple[Value, ...]]) -> tuple[Value, ...]:
    """Flattens the values row by row."""
    if not any(isinstance(value, tuple) for value in data):
        return data  # type: ignore[return-value]
    return tuple(v for value in data for v in (value if isinstance(value, tuple) else (value,)))


def select(tensors: Sequence[Tensor], request: InferRequest) -> list[tuple[Tensor, bool]]:
    """Selects the requested outputs, or all; with whether each is sent as bytes."""
    binary = request.parameters.get(BINARY_OUTPUT) is True
    if not request.outputs:
        return [(tensor, binary) for tensor in tensors]
    named = {tensor.name: tensor for tensor in tensors}
    for number, output in enumerate(request.outputs):
        if output.name not in named:
            names = " or ".join(named)
            raise InvalidFieldError(f"outputs.{number}.name", f"expected {names}")
    return [
        (named[output.name], output.parameters.get(BINARY_DATA, binary) is True)
        for output in request.outputs
    ]


def binary_data(tensor: Tensor) -> bytes:
    if tensor.datatype == SCORE_TYPE:
        return np.array(tensor.data, dtype="<f4").tobytes()
    return joined_texts(str(value).encode() for value in tensor.data)


def binary_answer(
    response: InferResponse, binary: Sequence[bool]
) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    """Encodes a response with some outputs as bytes; returns the body and its headers."""
    outputs, tail = [], []
    for tensor, in_bytes in zip(response.outputs, binary, strict=True):
        if in_bytes:
            data = binary_data(tensor)
            tail.append(data)
            parameters = {BINARY_SIZE: len(data)}
            tensor = msgspec.structs.replace(tensor, data=(), parameters=parameters)
        outputs.append(tensor)
    head = encode(msgspec.structs.replace(response, outputs=tuple(outputs)))
    return b"".join((head, *tail)), ((LENGTH_HEADER.encode(), b"%d" % len(head)),)
