"""Translates messages to the protocol's HTTP form: JSON followed by the tensors' bytes.

A tensor's raw contents are identical to those of the binary tensor data extension.
"""

import struct
from collections.abc import Mapping
from typing import Any

import msgspec

from service.errors import InvalidFieldError
from service.grpc.protocol import message_class
from service.http.internal import Answer
from service.messages import encode
from service.routes.tensors import (
    BINARY_DATA,
    BINARY_OUTPUT,
    BINARY_SIZE,
    LENGTH_HEADER,
    SCORE_TYPE,
    InferRequest,
    InferResponse,
    Tensor,
    WantedOutput,
    binary_values,
    joined_texts,
)

Response = message_class("ModelInferResponse")
RESPONSE = msgspec.json.Decoder(InferResponse)
OURS = (BINARY_SIZE, BINARY_DATA, BINARY_OUTPUT)  # parameters that have no meaning in gRPC


def parameters_of(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Converts parameters to JSON values."""
    return {
        name: getattr(value, choice)
        for name, value in sent.items()
        if name not in OURS and (choice := value.WhichOneof("parameter_choice"))
    }


def http_request(request: Any) -> tuple[bytes, int]:
    """Encodes a ModelInferRequest as a body; also returns how many bytes of it are JSON.

    Raises:
        InvalidFieldError: the number of raw contents differs from the number of inputs, or an input
            also has contents that would not be read.
    """
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise InvalidFieldError("raw_input_contents", "expected one entry per input, or no entry")
    for number, tensor in enumerate(request.inputs):
        check_contents(f"inputs.{number}.contents", tensor.contents, bool(raw))
    data = raw or [joined_texts(tensor.contents.bytes_contents) for tensor in request.inputs]
    inputs = tuple(
        Tensor(
            tensor.name,
            tuple(tensor.shape),
            tensor.datatype,
            parameters=parameters_of(tensor.parameters) | {BINARY_SIZE: len(content)},
        )
        for tensor, content in zip(request.inputs, data, strict=True)
    )
    outputs = tuple(
        WantedOutput(output.name, parameters_of(output.parameters)) for output in request.outputs
    )
    parameters = parameters_of(request.parameters) | {BINARY_OUTPUT: True}
    head = encode(InferRequest(inputs, request.id or None, parameters, outputs))
    return b"".join((head, *data)), len(head)


def check_contents(field: str, contents: Any, raw: bool) -> None:
    """Refuses typed contents that would be silently left out.

    Args:
        raw: whether the request has raw contents.

    Raises:
        InvalidFieldError: there are typed contents beside raw ones, or of another type than bytes.
    """
    found = [descriptor.name for descriptor, _ in contents.ListFields()]
    if raw and found:
        raise InvalidFieldError(field, "expected none beside raw_input_contents")
    if others := [name for name in found if name != "bytes_contents"]:
        raise InvalidFieldError(field, f"expected only bytes_contents, not {', '.join(others)}")


def grpc_response(answer: Answer, raw: bool) -> Any:
    """Converts an answer to a ModelInferResponse.

    Args:
        raw: whether tensors are sent as bytes, as in the request; otherwise value by value.
    """
    head = int(answer.headers[LENGTH_HEADER.encode()])
    answered, rest = RESPONSE.decode(answer.content[:head]), memoryview(answer.content)[head:]
    response = Response(model_name=answered.model_name, model_version=answered.model_version)
    response.id = answered.id or ""
    for tensor in answered.outputs:
        size = tensor.parameters[BINARY_SIZE]
        content, rest = bytes(rest[:size]), rest[size:]
        output = response.outputs.add(
            name=tensor.name, datatype=tensor.datatype, shape=tensor.shape
        )
        if raw:
            response.raw_output_contents.append(content)
        elif tensor.datatype == SCORE_TYPE:
            count = len(content) // struct.calcsize("<f")
            output.contents.fp32_contents.extend(struct.unpack(f"<{count}f", content))
        else:
            output.contents.bytes_contents.extend(binary_values(tensor.name, memoryview(content)))
    return response
