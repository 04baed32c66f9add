"""Vectors of nodes: embeddings in OpenAI's API, and the nodes most similar to one."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Depends
from msgspec import Meta, Struct
from numpy.typing import NDArray

from service.errors import InvalidFieldError, NoNodeError, UnknownModelError
from service.http.exchange import EncodedResponse
from service.http.repeats import OnceBody
from service.inference.batcher import Batched, token_cost
from service.inference.deadlines import attend, seconds_left
from service.messages import Node
from service.parts import Parts
from service.routes.classify import ERRORS
from service.routes.dependencies import READ, PathId, Served, Timed, in_time
from service.routes.graph import find
from service.routes.queries import QueryFields
from service.routes.structs import Examples, StructRoute
from understudy.engine.engine import Engine
from understudy.engine.requests import SCORE_DECIMALS, Resolution, resolve
from understudy.engine.similar import hidden_states, most_similar
from understudy.engine.state import GraphState

MOST_SIMILAR = 1_000  # in one answer
EMBEDDINGS_DESCRIPTION = """
The last hidden states of stored and unseen nodes, in the form of OpenAI's embeddings. A string that
is the id of a stored node means that node, and any other string is the text of an unseen node
without neighbors; an object is a node as in `/classify`. In the answer, `node` says which it was.
"""
SIMILAR_DESCRIPTION = """
The stored nodes whose last hidden states have the largest cosine to the node's, found by comparing
all of them. With `label`, only nodes for which the student predicts this label.
"""

Vector = Annotated[
    tuple[float, ...] | str,
    Meta(description="List of numbers, or their base64 as little-endian float32."),
]


class EmbeddingsRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The nodes to embed, with options."""

    input: Annotated[
        str | Annotated[tuple[str | Node, ...], Meta(min_length=1)],
        Meta(description="Ids of stored nodes, texts of unseen ones, or nodes as in /classify."),
    ]
    model: Annotated[
        str | None, Meta(description="Name of the model; by default the served one.")
    ] = None
    encoding_format: Annotated[
        Literal["float", "base64"] | None,
        Meta(description="Form of the vectors: float (numbers) or base64; null means float."),
    ] = "float"
    dimensions: Annotated[
        int | None, Meta(description="Length of a vector; must be that of the model.")
    ] = None
    user: Annotated[str | None, Meta(description="Ignored.")] = None


class Embedding(Struct, frozen=True):
    """The vector of one node."""

    index: Annotated[int, Meta(description="Position in the request.")]
    embedding: Vector
    node: Literal["stored", "unseen"]
    object: Literal["embedding"] = "embedding"


class Usage(Struct, frozen=True):
    """The cost of reading the texts: estimated, four characters a token; 0 for stored nodes."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsResponse(Struct, frozen=True):
    """One vector for each input, in its order."""

    data: tuple[Embedding, ...]
    model: str
    model_version: str
    graph_version: int
    usage: Usage
    object: Literal["list"] = "list"


class SimilarQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """The number of similar nodes, and their label."""

    k: Annotated[
        int, Meta(ge=1, le=MOST_SIMILAR, description="Number of nodes to list, most similar first.")
    ] = 10
    label: Annotated[str | None, Meta(description="List only nodes with this predicted label.")] = (
        None
    )


class SimilarNode(Struct, frozen=True):
    """A stored node similar to another one."""

    id: str
    similarity: Annotated[float, Meta(description="Cosine similarity of the last hidden states.")]
    label: Annotated[str, Meta(description="Label that the student predicts.")]


class SimilarNodes(Struct, frozen=True):
    """The stored nodes most similar to one, best first."""

    id: str
    similar: tuple[SimilarNode, ...]
    graph_version: int


EmbeddingsBody = Annotated[EmbeddingsRequest, Depends(OnceBody(EmbeddingsRequest))]
Near = Annotated[SimilarQuery, Depends(QueryFields(SimilarQuery))]

router = APIRouter(tags=["vectors"], route_class=StructRoute, dependencies=[READ])


@router.post(
    "/v1/embeddings",
    summary="Embed nodes",
    description=EMBEDDINGS_DESCRIPTION.strip(),
    responses=ERRORS,
    response_model=EmbeddingsResponse,
)
async def embeddings(request: EmbeddingsBody, exchange: Timed, served: Served) -> EncodedResponse:
    engine = served.slot.engine
    check_model(request, engine)
    state, names = engine.state, request.input
    inputs = (names,) if isinstance(names, str) else names
    if len(inputs) > engine.limits.nodes:
        raise InvalidFieldError(
            "input", f"at most {engine.limits.nodes:,} nodes per request are allowed"
        )
    resolution = await in_time(served, exchange, resolve_inputs, state, inputs, engine)
    work = embed(served, engine, resolution, request.encoding_format or "float")
    return await attend(work, exchange, seconds_left(exchange, served.classifier.seconds))


@router.get(
    "/nodes/{id:id}/similar",
    summary="List the nodes most similar to a node",
    description=SIMILAR_DESCRIPTION.strip(),
    responses={404: {}, 422: {}, 504: {}},
)
async def get_similar(node_id: PathId, exchange: Timed, served: Served, near: Near) -> SimilarNodes:
    engine = served.slot.engine
    state, row = find(engine, node_id)
    names = engine.manifest.label_names
    if near.label is not None and near.label not in names:
        raise InvalidFieldError("label", "expected one of the model's labels; see GET /info")
    wanted = None if near.label is None else names.index(near.label)
    return await in_time(served, exchange, similar_nodes, engine, state, row, near.k, wanted)


def check_model(request: EmbeddingsRequest, engine: Engine) -> None:
    """Refuses another model, and another width of vectors.

    Raises:
        UnknownModelError, InvalidFieldError.
    """
    if request.model not in (None, engine.manifest.name):
        raise UnknownModelError(str(request.model), engine.manifest.name)
    width = engine.manifest.student.hidden
    if request.dimensions not in (None, width):
        raise InvalidFieldError(
            "dimensions", f"this model's vectors have {width} dimensions; leave it out"
        )


def resolve_inputs(state: GraphState, inputs: Sequence[str | Node], engine: Engine) -> Resolution:
    """Reads each string as an id if such a node is stored, otherwise as a text; resolves all.

    Raises:
        NoNodeError: the first invalid node's error, because the API has no errors per node.
    """
    words = [entry for entry in inputs if isinstance(entry, str)]
    known = {w for w, row in zip(words, state.graph.rows_of(words), strict=True) if row is not None}
    nodes = [
        entry if isinstance(entry, Node) else Node(id=entry) if entry in known else Node(text=entry)
        for entry in inputs
    ]
    resolution = resolve(state, nodes, engine.limits)
    for position, error in sorted(resolution.errors.items()):
        raise NoNodeError(error.code, f"input {position}: {error}", error.details)
    return resolution


async def embed(
    served: Parts, engine: Engine, resolution: Resolution, form: Literal["float", "base64"]
) -> EncodedResponse:
    """Runs unseen nodes, and assembles the answer; raises as `Batcher.infer` does."""
    inference = None
    if resolution.unseen:
        inference = await served.classifier.infer(engine, resolution)
    return await served.executor.run(embedded, engine, resolution, inference, form)


def embedded(
    engine: Engine,
    resolution: Resolution,
    inference: Batched | None,
    form: Literal["float", "base64"],
) -> EncodedResponse:
    return EncodedResponse(embeddings_of(engine, resolution, inference, form))


def embeddings_of(
    engine: Engine,
    resolution: Resolution,
    inference: Batched | None,
    form: Literal["float", "base64"],
) -> EmbeddingsResponse:
    hidden, stored = hidden_states(resolution, inference), set(resolution.stored_positions)
    vectors = dict(zip(resolution.positions, encoded(hidden, form), strict=True))
    tokens = sum(token_cost(node, engine.manifest.encoder) for node in resolution.unseen)
    return EmbeddingsResponse(
        tuple(
            Embedding(position, vectors[position], "stored" if position in stored else "unseen")
            for position in sorted(vectors)
        ),
        engine.manifest.name,
        engine.model_version,
        resolution.state.version,
        Usage(tokens, tokens),
    )


def encoded(
    vectors: NDArray[np.float32], form: Literal["float", "base64"]
) -> list[tuple[float, ...] | str]:
    """Encodes each row of [B, hidden] for the answer."""
    if form == "float":
        return [tuple(row) for row in vectors.tolist()]
    return [b64encode(row.astype("<f4").tobytes()).decode() for row in vectors]


def similar_nodes(
    engine: Engine, state: GraphState, row: int, count: int, label: int | None
) -> SimilarNodes:
    found, view = most_similar(state, row, count, label), state.graph
    labels = engine.manifest.label_names
    cosines = found.cosines.astype(np.float64).round(SCORE_DECIMALS).tolist()
    best = state.best_labels(found.rows).tolist()
    return SimilarNodes(
        view.id(row),
        tuple(
            SimilarNode(view.id(other), cosine, labels[number])
            for other, cosine, number in zip(found.rows.tolist(), cosines, best, strict=True)
        ),
        state.version,
    )


def examples(parts: Parts) -> dict[str, Examples]:
    """Makes examples of both operations about a stored node."""
    state = parts.slot.engine.state
    names = [state.graph.id(row) for row in state.graph.live_rows()[:1].tolist()]
    request = EmbeddingsRequest((*names, "a fast JSON parser"))
    return {
        "embeddings": Examples(request),
        "get_similar": Examples(parameters={"id": names[0]} if names else None),
    }
