"""FastAPI routes whose handlers use msgspec structs, and their OpenAPI document."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, get_type_hints

import msgspec
from fastapi import FastAPI, params
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from msgspec import Struct
from starlette.responses import Response

from service.http.error_forms import error_kind
from service.http.exchange import JSON, EncodedResponse, JsonBody
from service.messages import encode
from service.parts import Parts
from service.routes.queries import QueryFields, query_of_path

REFERENCE = "#/components/schemas/{name}"
MEANINGS = {
    400: "The body is not JSON, or the path or the query is encoded incorrectly.",
    401: "The key is missing or unknown.",
    403: "The key's role is not sufficient, or the request comes from a page of another site.",
    404: "The named node, model or path does not exist.",
    408: "The body did not arrive in time.",
    409: "The request conflicts with the current state.",
    413: "The body is too large.",
    415: "The body's content type is not JSON, or its compression is unknown.",
    421: "The request is addressed to another host.",
    422: "A field or parameter is missing, unknown, invalid or beyond a limit; the error names it.",
    424: "The teacher failed.",
    429: "Too many requests or too much work at once; see the header `retry-after`.",
    500: "Internal error; the log has it under the request's id.",
    502: "The upstream did not answer.",
    503: "The service cannot answer now; see the header `retry-after`.",
    504: "The answer was not ready in time.",
}
ANY_REQUEST = (400, 401, 403, 421, 422, 429)  # of routes that may need a key
ANY_PARAMETER = (400,)  # of routes with a parameter in the path
ANY_BODY = (400, 408, 413, 415, 422)
TITLE = "Understudy"
DESCRIPTION = """
Classifies the nodes of a text-attributed graph that is held in memory: stored nodes by their id,
unseen nodes by their text and the stored nodes that they are linked to.

Every answer carries `x-request-id` (yours, if you sent one) and `x-total-time` in milliseconds.
A request to a route that needs a role may send `x-min-graph-version`: it waits for that version of
the graph before it reads or changes anything, and gets status 503 if the version does not arrive in
time. Query parameters that are not listed are refused, except on `/health` and `/v2/health`; below
`/v1`, `api-version` is ignored. All errors have the same body, an `ErrorBody`; below `/v2` it is an
`InferenceErrorBody`, as the Open Inference Protocol demands, below `/v1` an `OpenAIErrorBody`, and
on `/v1/systemone` a `SystemOneErrorBody`.
"""


@dataclass(frozen=True, slots=True)
class Lists:
    """An answer that is a list of structs, or a list of such lists."""

    kind: type[Struct]


class StructRoute(APIRoute):
    """A route whose body, answer and errors are structs.

    Attributes:
        structs: those that its part of the document refers to.
        query: its query parameters.
        takes_body: whether it reads a body.

    Args:
        options: those of FastAPI. `response_model` is a struct, or `Lists` of one, by default the
            endpoint's return type; the bodies of the statuses in `responses` are known.

    Raises:
        TypeError: no dependency states who has access.
    """

    def __init__(self, path: str, endpoint: Callable[..., Awaitable[Any]], **options: Any) -> None:
        dependencies = options.get("dependencies")
        if not dependencies:
            raise TypeError(f"{path}: say who may ask, with READ, WRITE, ADMIN or ANYONE")
        hints = get_type_hints(endpoint, include_extras=True)
        answer = options.pop("response_model")
        if not isinstance(answer, type | Lists):
            answer = hints["return"]
        body = next((kind for hint in hints.values() if (kind := body_kind(hint))), None)
        error = error_kind(path)
        answered = answer.kind if isinstance(answer, Lists) else answer
        self.structs = {kind for kind in (answered, body, error) if kind is not None}
        query = next((found for hint in hints.values() if (found := query_of(hint))), None)
        roles = [d.scopes[0] for d in dependencies if isinstance(d, params.Security) and d.scopes]
        statuses = {500, *(options.get("responses") or {})}
        statuses |= {*ANY_REQUEST} if roles else set()
        statuses |= {*ANY_PARAMETER} if "{" in path else set()
        statuses |= {*ANY_BODY} if body is not None else set()
        errors = {s: {"description": MEANINGS[s], "content": content_of(error)} for s in statuses}
        options |= {
            "response_model": None,
            "response_description": "Success.",
            "responses": {200: {"content": content_of(answer)}, **dict(sorted(errors.items()))},
            "description": described(options.get("description"), roles),
            "operation_id": options.get("name") or endpoint.__name__,
            "openapi_extra": request_description(body, query, roles),
        }
        self.takes_body = body is not None
        self.query = query or query_of_path(path)
        super().__init__(path, answering_with_struct(endpoint), **options)


def described(description: str | None, roles: Sequence[str]) -> str:
    needed = f"Needs a key with the role `{roles[0]}`, if the service has keys." if roles else ""
    return f"{description or ''}\n\n{needed}".strip()


def request_description(
    body: type[Struct] | None, query: QueryFields | None, roles: Sequence[str]
) -> dict[str, Any]:
    """Describes a request's structs, and that there may be no keys, for the OpenAPI document."""
    extra: dict[str, Any] = {"security": [{}]} if roles else {}
    if query is not None:
        extra["parameters"] = query.parameters()
    if body is not None:
        extra["requestBody"] = {"required": True, "content": content_of(body)}
    return extra


def answering_with_struct(
    endpoint: Callable[..., Awaitable[Any]],
) -> Callable[..., Awaitable[Response]]:
    """Wraps an endpoint to encode its struct as the answer."""

    @wraps(endpoint)
    async def respond(*arguments: Any, **named: Any) -> Response:
        answer = await endpoint(*arguments, **named)
        return answer if isinstance(answer, Response) else EncodedResponse(answer)

    return respond


def body_kind(hint: Any) -> type[Struct] | None:
    """Returns the struct of a parameter that is read from the body, or None."""
    read = dependency_of(hint)
    return read.kind if isinstance(read, JsonBody) else None


def query_of(hint: Any) -> QueryFields | None:
    """Returns the reader of a parameter that is read from the query, or None."""
    read = dependency_of(hint)
    return read if isinstance(read, QueryFields) else None


def dependency_of(hint: Any) -> Any:
    """Returns the dependency of an annotated parameter, or None."""
    depends = (e for e in getattr(hint, "__metadata__", ()) if isinstance(e, params.Depends))
    return next((entry.dependency for entry in depends), None)


def content_of(kind: type[Struct] | Lists) -> dict[str, Any]:
    if isinstance(kind, Lists):
        single = {"type": "array", "items": {"$ref": REFERENCE.format(name=kind.kind.__name__)}}
        return {JSON: {"schema": {"anyOf": [single, {"type": "array", "items": single}]}}}
    return {JSON: {"schema": {"$ref": REFERENCE.format(name=kind.__name__)}}}


@dataclass(frozen=True, slots=True)
class Examples:
    """A valid request and its answer; either may be missing."""

    request: Struct | None = None
    response: Struct | None = None
    parameters: Mapping[str, str] | None = None


class Document:
    """The OpenAPI document, rebuilt when another graph or bundle is served."""

    def __init__(
        self,
        routes: Sequence[StructRoute],
        examples: Sequence[Callable[[Parts], dict[str, Examples]]],
    ) -> None:
        """Starts without a document.

        Args:
            examples: functions that make the examples, by operation.
        """
        self.routes = routes
        self.examples = examples
        self.served: object = None
        self.content = b""

    def render(self, app: FastAPI, root_path: str) -> bytes:
        """Renders the document as JSON.

        Runs the networks once per graph version, so call it off the event loop.

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
        """Makes the JSON schemas of all structs in requests and answers."""
        kinds = {kind for route in self.routes for kind in route.structs}
        ordered = sorted(kinds, key=lambda kind: kind.__name__)
        _, schemas = msgspec.json.schema_components(ordered, ref_template=REFERENCE)
        return {name: uniform_arrays(schema) for name, schema in schemas.items()}


def finish(operation: dict[str, Any], examples: Examples) -> None:
    """Adds the examples, and removes FastAPI's own validation error."""
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    if examples.request is not None:
        content = operation["requestBody"]["content"][JSON]
        content["example"] = msgspec.to_builtins(examples.request)
    if examples.response is not None:
        responses["200"]["content"][JSON]["example"] = msgspec.to_builtins(examples.response)
    for parameter in operation.get("parameters", ()):
        named = parameter["name"] in (examples.parameters or {})
        if named and parameter["in"] in ("path", "query"):
            parameter["example"] = (examples.parameters or {})[parameter["name"]]


def uniform_arrays(schema: Any) -> Any:
    """Rewrites schemas of arrays with a fixed length, or of anything, for client generators.

    Few of them understand `prefixItems` with `items: false`, the form of a pair of integers.
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
    if result.get("type") == "array":
        result.setdefault("items", {})
    return result
