"""The messages' field numbers, against those of a third-party client."""

import pytest
import tritonclient.grpc.service_pb2 as theirs  # type: ignore[import-untyped]
from google.protobuf.descriptor import (  # type: ignore[import-untyped]
    Descriptor,
    FieldDescriptor,
)

from service.grpc.protocol import DEFINITION, METHODS, POOL, SERVICE, file_of, message_class


def shape(field: FieldDescriptor) -> tuple[object, ...]:
    inner = field.message_type.full_name if field.message_type else None
    group = field.containing_oneof is not None
    return field.name, field.number, field.type, field.is_repeated, inner, group


def compare(ours: Descriptor, other: Descriptor) -> None:
    numbers = {field.number: field for field in other.fields}
    for field in ours.fields:
        assert shape(field) == shape(numbers[field.number]), ours.full_name
    for nested in ours.nested_types:
        compare(nested, other.nested_types_by_name[nested.name])


@pytest.mark.parametrize("name", [message.name for message in file_of(DEFINITION).message_type])
def test_every_field_has_the_protocols_number_and_type(name: str) -> None:
    ours = POOL.FindMessageTypeByName(f"inference.{name}")
    other = theirs.DESCRIPTOR.message_types_by_name[name]
    assert ours.full_name == other.full_name
    compare(ours, other)


def test_the_service_and_its_methods_are_the_protocols() -> None:
    service = theirs.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert service.full_name == SERVICE
    for name in METHODS:
        method = service.methods_by_name[name]
        for kind, descriptor in (("Request", method.input_type), ("Response", method.output_type)):
            assert message_class(name + kind).DESCRIPTOR.full_name == descriptor.full_name
