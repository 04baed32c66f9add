"""The messages of the Open Inference Protocol, version 2, with the numbers of its definition.

They are made when the module is loaded, without generated code or a compiler, in their own pool: a
client library in the same process may define the same names.
"""

from typing import Any

from google.protobuf.descriptor_pb2 import (  # type: ignore[import-untyped]
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool  # type: ignore[import-untyped]
from google.protobuf.message_factory import GetMessageClass  # type: ignore[import-untyped]

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"
METHODS = (
    "ServerLive",
    "ServerReady",
    "ModelReady",
    "ServerMetadata",
    "ModelMetadata",
    "ModelInfer",
)
# The fields of every message, in the syntax of a definition. A name with a dot is a nested message;
# fields marked `one` exclude each other.
DEFINITION = """
ServerLiveRequest
ServerLiveResponse: bool live = 1
ServerReadyRequest
ServerReadyResponse: bool ready = 1
ModelReadyRequest: string name = 1; string version = 2
ModelReadyResponse: bool ready = 1
ServerMetadataRequest
ServerMetadataResponse: string name = 1; string version = 2; repeated string extensions = 3
ModelMetadataRequest: string name = 1; string version = 2
ModelMetadataResponse: string name = 1; repeated string versions = 2; string platform = 3;
  repeated ModelMetadataResponse.TensorMetadata inputs = 4;
  repeated ModelMetadataResponse.TensorMetadata outputs = 5
ModelMetadataResponse.TensorMetadata: string name = 1; string datatype = 2;
  repeated int64 shape = 3
InferParameter: one bool bool_param = 1; one int64 int64_param = 2; one string string_param = 3;
  one double double_param = 4; one uint64 uint64_param = 5
InferTensorContents: repeated bool bool_contents = 1; repeated int32 int_contents = 2;
  repeated int64 int64_contents = 3; repeated uint32 uint_contents = 4;
  repeated uint64 uint64_contents = 5; repeated float fp32_contents = 6;
  repeated double fp64_contents = 7; repeated bytes bytes_contents = 8
ModelInferRequest: string model_name = 1; string model_version = 2; string id = 3;
  map InferParameter parameters = 4; repeated ModelInferRequest.InferInputTensor inputs = 5;
  repeated ModelInferRequest.InferRequestedOutputTensor outputs = 6;
  repeated bytes raw_input_contents = 7
ModelInferRequest.InferInputTensor: string name = 1; string datatype = 2; repeated int64 shape = 3;
  map InferParameter parameters = 4; InferTensorContents contents = 5
ModelInferRequest.InferRequestedOutputTensor: string name = 1; map InferParameter parameters = 2
ModelInferResponse: string model_name = 1; string model_version = 2; string id = 3;
  map InferParameter parameters = 4; repeated ModelInferResponse.InferOutputTensor outputs = 5;
  repeated bytes raw_output_contents = 6
ModelInferResponse.InferOutputTensor: string name = 1; string datatype = 2;
  repeated int64 shape = 3; map InferParameter parameters = 4; InferTensorContents contents = 5
"""
CHOICE = "parameter_choice"


def file_of(definition: str) -> FileDescriptorProto:
    """Converts the definition to protobuf's form."""
    file = FileDescriptorProto(
        name="understudy/open_inference.proto", package=PACKAGE, syntax="proto3"
    )
    messages: dict[str, DescriptorProto] = {}
    for line in definition.strip().replace("\n  ", " ").splitlines():
        path, _, fields = line.partition(":")
        outer, _, name = path.rpartition(".")
        message = messages[outer].nested_type.add() if outer else file.message_type.add()
        message.name = name
        messages[path] = message
        for field in filter(None, fields.split(";")):
            add_field(message, path, field.split())
    return file


def add_field(message: DescriptorProto, path: str, words: list[str]) -> None:
    """Adds a field of the words "[repeated|one|map] type name = number"."""
    *kinds, name, _, number = words
    field = message.field.add(
        name=name,
        number=int(number),
        label=FieldDescriptorProto.Label.Value(
            "LABEL_REPEATED" if kinds[0] in ("repeated", "map") else "LABEL_OPTIONAL"
        ),
    )
    if kinds[0] == "one":
        if not message.oneof_decl:
            message.oneof_decl.add(name=CHOICE)
        field.oneof_index = 0
    kind = kinds[-1]
    if kinds[0] == "map":
        entry = message.nested_type.add(name="".join(map(str.title, name.split("_"))) + "Entry")
        entry.options.map_entry = True
        add_field(entry, path, ["string", "key", "=", "1"])
        add_field(entry, path, [kind, "value", "=", "2"])
        kind = f"{path}.{entry.name}"
    if kind[0].isupper():
        field.type = FieldDescriptorProto.Type.Value("TYPE_MESSAGE")
        field.type_name = f".{PACKAGE}.{kind}"
    else:
        field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")


POOL = DescriptorPool()
POOL.AddSerializedFile(file_of(DEFINITION).SerializeToString())


def message_class(name: str) -> Any:
    """Returns a message class; its fields are made at run time, unknown to type checkers."""
    return GetMessageClass(POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))
