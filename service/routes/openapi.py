"""FastAPI's document, with the structs' schemas and with examples of what is served now."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from msgspec import Struct

from service.http.io import JSON
from service.messages import encode
from service.parts import Parts
from service.routes.structs import REFERENCE, StructRoute

TITLE = "Understudy"
DESCRIPTION = """
Classifies the nodes of a text-attributed graph that is held in memory: stored nodes by id, unseen
ones by their text and the stored nodes that they are linked to.

Every answer carries `x-request-id` (yours, if you sent one) and `x-total-time` in milliseconds.
Every answer that is no success has the same body, an `ErrorBody`; below `/v2` it is an
`InferenceErrorBody`, as the Open Inference Protocol wants it.
"""


@dataclass(frozen=True, slots=True)
class Examples:
    """A request that really can be sent, and its answer; either may be missing."""

    request: Struct | None = None
    response: Struct | None = None
    parameters: Mapping[str, str] | None = None


class Document:
    """Made again when another graph or bundle is served."""

    def __init__(
        self,
        routes: Sequence[StructRoute],
        examples: Sequence[Callable[[Parts], dict[str, Examples]]],
    ) -> None:
        """Begins without any.

        Args:
            examples: of operations, by their names.
        """
        self.routes = routes
        self.examples = examples
        self.served: object = None
        self.content = b""

    def render(self, app: FastAPI, root_path: str) -> bytes:
        """The document as JSON.

        Runs a network, once for each version of the graph: to be called off the event loop.

        Args:
            root_path: under which a proxy offers the service.
        """
        engine = app.state.parts.slot.engine
        served = engine.manifest, engine.state.version, root_path
        if served != self.served:
            document = get_openapi(
                title=f"{TITLE}: {engine.manifest.name}",
                description=DESCRIPTION.strip(),
                version=engine.model_version,
                routes=app.routes,
                servers=[{"url": root_path}] if root_path else None,
            )
            document["components"]["schemas"] = self.schemas()
            found = {k: v for each in self.examples for k, v in each(app.state.parts).items()}
            for item in document["paths"].values():
                for operation in item.values():
                    finish(operation, found.get(operation["operationId"], Examples()))
            self.content, self.served = encode(document), served
        return self.content

    def schemas(self) -> dict[str, Any]:
        """JSON schemas of everything that goes over the wire in msgspec's structs."""
        kinds = {kind for route in self.routes for kind in route.structs}
        ordered = sorted(kinds, key=lambda kind: kind.__name__)
        _, schemas = msgspec.json.schema_components(ordered, ref_template=REFERENCE)
        return {name: uniform_arrays(schema) for name, schema in schemas.items()}


def finish(operation: dict[str, Any], examples: Examples) -> None:
    """Adds the examples, and takes away the error that FastAPI would raise itself."""
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    if examples.request is not None:
        content = operation["requestBody"]["content"][JSON]
        content["example"] = msgspec.to_builtins(examples.request)
    if examples.response is not None:
        responses["200"]["content"][JSON]["example"] = msgspec.to_builtins(examples.response)
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in (examples.parameters or {}) and parameter["in"] == "path":
            parameter["example"] = (examples.parameters or {})[parameter["name"]]


def uniform_arrays(schema: Any) -> Any:
    """Arrays of a fixed length as generators of clients can read them.

    A pair of integers is said as `prefixItems` and `items: false`, which few of them know.
    """
    if isinstance(schema, list):
        return [uniform_arrays(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    result = {name: uniform_arrays(value) for name, value in schema.items()}
    if result.get("items") is False and "prefixItems" in result:
        kinds = result.pop("prefixItems")
        same = all(kind == kinds[0] for kind in kinds)
        result["items"] = kinds[0] if same else {"anyOf": kinds}
    return result
