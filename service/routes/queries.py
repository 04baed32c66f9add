"""Query parameters, decoded and checked as a struct."""

from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from fastapi import Request
from msgspec import Struct

from service.errors import InvalidFieldError, MalformedPathError
from service.http.decoding_errors import invalid_field
from service.http.error_forms import OPENAI_PATH, below


class NoParameters(Struct, frozen=True):
    """No parameters."""


class QueryFields:
    """Decodes a query as a struct, whose fields are the parameters.

    Args:
        passed_by: parameters that some clients send, and that are ignored.
    """

    def __init__(self, kind: type[Struct] = NoParameters, passed_by: Collection[str] = ()) -> None:
        self.kind = kind
        self.passed_by = passed_by

    async def __call__(self, request: Request) -> Any:
        return self.read(request.scope["query_string"])

    def read(self, sent: bytes) -> Any:
        """Decodes the query.

        Raises:
            MalformedPathError: it does not encode UTF-8.
            InvalidFieldError: a parameter is missing, unknown, repeated or of a wrong type.
        """
        try:
            pairs = parse_qsl(sent.decode("utf-8"), keep_blank_values=True, errors="strict")
        except UnicodeError as error:
            raise MalformedPathError("the decoded query is not UTF-8") from error
        known, fields = self.kind.__struct_fields__, dict[str, str]()
        for name, value in pairs:
            if name in self.passed_by:
                continue
            if name not in known:
                accepted = (
                    (f"the parameters are {', '.join(known)}")
                    if known
                    else "this route takes no parameters"
                )
                raise InvalidFieldError(name, f"unknown query parameter; {accepted}")
            if name in fields:
                raise InvalidFieldError(name, "given more than once")
            fields[name] = value
        try:
            return msgspec.convert(fields, self.kind, strict=False)
        except msgspec.ValidationError as error:
            raise invalid_field(str(error), self.kind) from error

    def parameters(self) -> list[dict[str, Any]]:
        """Describes the fields for the OpenAPI document."""
        schema = msgspec.json.schema(self.kind)["$defs"][self.kind.__name__]
        required = schema.get("required", ())
        return [
            {
                "name": name,
                "in": "query",
                "required": name in required,
                "description": field.get("description", ""),
                "schema": {k: v for k, v in field.items() if k != "description"},
            }
            for name, field in schema["properties"].items()
        ]


NO_QUERY = QueryFields()
# Clients of OpenAI's API that also support Azure's servers add this to every request.
WIRE_QUERY = QueryFields(passed_by=("api-version",))


def query_of_path(path: str) -> QueryFields:
    """Chooses the query of a route without parameters."""
    return WIRE_QUERY if below(path, OPENAI_PATH) else NO_QUERY
