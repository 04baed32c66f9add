"""Routes that show the graph: nodes in pages, by words, and around a node."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends
from msgspec import Meta, Struct
from numpy.typing import NDArray

from service.errors import InvalidFieldError
from service.http.repeats import OnceBody
from service.parts import Parts
from service.routes.dependencies import READ, Served, Timed, in_time
from service.routes.graph import find
from service.routes.queries import QueryFields
from service.routes.structs import Examples, StructRoute
from understudy.engine.engine import Engine
from understudy.engine.errors import UnknownNodeError, shortened
from understudy.engine.requests import SCORE_DECIMALS, best_labels
from understudy.engine.state import GraphState
from understudy.graph.mutable.listing import split_of
from understudy.graph.mutable.search import titles
from understudy.graph.mutable.surroundings import surroundings

MOST_LISTED = 1_000
MOST_FOUND = 100
MOST_SHOWN = 400
router = APIRouter(tags=["graph"], route_class=StructRoute)


class NodesQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """The nodes to list."""

    after: Annotated[str, Meta(description="Id after which the page starts.")] = ""
    limit: Annotated[int, Meta(ge=1, le=MOST_LISTED, description="Maximum number of nodes.")] = 100
    label: Annotated[
        str, Meta(description="List only nodes with this given label; empty: all.")
    ] = ""
    split: Annotated[
        str, Meta(description="List only nodes of this split, such as train; empty: all.")
    ] = ""


class ListedNode(Struct, frozen=True):
    """A stored node."""

    id: str
    text: str
    label: Annotated[str | None, Meta(description="The given label, not the predicted one.")]
    split: Annotated[str | None, Meta(description="Split of the exported graph.")]
    degree: Annotated[int, Meta(description="Number of neighbors.")]


class NodePage(Struct, frozen=True):
    """Nodes in the order of their ids."""

    nodes: tuple[ListedNode, ...]
    next: Annotated[
        str | None,
        Meta(description="Value of `after` for the next page; null: this is the last page."),
    ]
    graph_version: int


class SearchQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """The words to search for."""

    q: Annotated[
        str, Meta(max_length=200, description="Start of an id, or words of the id and text.")
    ]
    limit: Annotated[int, Meta(ge=1, le=MOST_FOUND, description="Maximum number of nodes.")] = 10


class ShownNode(Struct, frozen=True):
    """A node in a list or in a drawing."""

    id: str
    title: Annotated[str, Meta(description="The first line of its text.")]
    label: Annotated[str | None, Meta(description="The given label, not the predicted one.")]
    predicted: Annotated[str, Meta(description="Label that the student predicts.")]
    score: Annotated[float, Meta(description="Calibrated probability of the predicted label.")]
    degree: Annotated[int, Meta(description="Number of neighbors.")]


class Found(Struct, frozen=True):
    """The best matching nodes, best first."""

    nodes: tuple[ShownNode, ...]
    graph_version: int


class SurroundingsBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The node to draw around, and the nodes that are shown already."""

    id: str
    limit: Annotated[
        int,
        Meta(
            ge=0, le=MOST_SHOWN, description="Maximum number of neighbors that are not in `beside`."
        ),
    ] = 24
    beside: Annotated[
        tuple[str, ...],
        Meta(
            max_length=MOST_SHOWN,
            description="Ids of nodes that are shown already; unknown ones are ignored.",
        ),
    ] = ()


class Surroundings(Struct, frozen=True):
    """A node and some of its neighbors; of many, those that share the most neighbors with it."""

    nodes: Annotated[
        tuple[ShownNode, ...], Meta(description="The node itself, then its neighbors.")
    ]
    edges: Annotated[
        tuple[tuple[str, str], ...],
        Meta(description="Edges among these nodes and those in `beside`."),
    ]
    graph_version: int


Listed = Annotated[NodesQuery, Depends(QueryFields(NodesQuery))]
Sought = Annotated[SearchQuery, Depends(QueryFields(SearchQuery))]
Around = Annotated[SurroundingsBody, Depends(OnceBody(SurroundingsBody))]

LATE: dict[int | str, dict[str, str]] = {504: {}}


@router.get("/nodes", summary="List nodes in pages", dependencies=[READ], responses=LATE)
async def list_nodes(query: Listed, exchange: Timed, served: Served) -> NodePage:
    return await in_time(served, exchange, page_of, served, query)


@router.get(
    "/search",
    summary="Search nodes by words of their ids and texts",
    dependencies=[READ],
    responses=LATE,
)
async def search(query: Sought, exchange: Timed, served: Served) -> Found:
    return await in_time(served, exchange, found_nodes, served, query)


@router.post(
    "/surroundings",
    summary="Get a node and its neighbors for drawing",
    dependencies=[READ],
    responses={404: {}, **LATE},
)
async def show_surroundings(around: Around, exchange: Timed, served: Served) -> Surroundings:
    return await in_time(served, exchange, surroundings_of, served.slot.engine, around)


def page_of(parts: Parts, query: NodesQuery) -> NodePage:
    """Makes a page of nodes.

    Raises:
        InvalidFieldError: there is no such label or split.
    """
    state = parts.slot.engine.state
    view, base = state.graph, state.graph.parts.base
    if query.label and query.label not in view.label_names:
        raise InvalidFieldError("label", f"there is no label {shortened(query.label)!r}; see /info")
    if query.split and query.split not in base.splits:
        known = ", ".join(base.splits) or "none"
        problem = f"there is no split {shortened(query.split)!r}; the splits are: {known}"
        raise InvalidFieldError("split", problem)
    label = view.label_names.index(query.label) if query.label else None
    listing = parts.directory.listing(view)
    # One row more than requested shows whether there is a next page.
    rows = listing.page(view, query.after, query.limit + 1, label, query.split or None)
    nodes = tuple(listed(state, row) for row in rows[: query.limit])
    return NodePage(nodes, nodes[-1].id if len(rows) > query.limit else None, state.version)


def listed(state: GraphState, row: int) -> ListedNode:
    view = state.graph
    record = view.record(row)
    split = split_of(view.parts.base, row)
    return ListedNode(
        record.id, record.text, label_name(state, row), split, len(view.neighbors(row))
    )


def label_name(state: GraphState, row: int) -> str | None:
    label = state.graph.label(row)
    return state.graph.label_names[label] if label >= 0 else None


def found_nodes(parts: Parts, query: SearchQuery) -> Found:
    engine = parts.slot.engine
    state = engine.state
    rows = parts.directory.search(state.graph).find(state.graph, query.q, query.limit)
    return Found(shown_nodes(engine, state, rows), state.version)


def shown_nodes(
    engine: Engine, state: GraphState, rows: NDArray[np.int64]
) -> tuple[ShownNode, ...]:
    """Describes stored nodes (int64 [B]), with the student's answers."""
    view, names = state.graph, engine.manifest.label_names
    temperature = engine.manifest.calibration.temperature
    labels, scores = best_labels(state.logits(rows), temperature, 1)
    facts = zip(
        rows.tolist(),
        titles(view, rows.tolist()),
        labels[:, 0].tolist(),
        scores[:, 0].tolist(),
        view.degrees(rows).tolist(),
        strict=True,
    )
    return tuple(
        ShownNode(
            view.id(row),
            title,
            label_name(state, row),
            names[label],
            round(score, SCORE_DECIMALS),
            degree,
        )
        for row, title, label, score, degree in facts
    )


def surroundings_of(engine: Engine, around: SurroundingsBody) -> Surroundings:
    """Makes the nodes and edges of a drawing.

    Raises:
        UnknownNodeError.
    """
    state, row = find(engine, around.id)
    view = state.graph
    beside = [other for other in view.rows_of(around.beside) if other is not None]
    rows, edges = surroundings(view, row, around.limit, beside)
    pairs = tuple((view.id(first), view.id(second)) for first, second in edges)
    nodes = shown_nodes(engine, state, np.array(rows, dtype=np.int64))
    return Surroundings(nodes, pairs, state.version)


def examples(parts: Parts) -> dict[str, Examples]:
    """Makes examples of each operation about stored nodes, without building the directory."""
    engine = parts.slot.engine
    view = engine.state.graph
    names = [view.id(row) for row in view.live_rows()[:1].tolist()]
    if not names:
        return {}
    around = SurroundingsBody(names[0], limit=2)
    try:
        shown = surroundings_of(engine, around)
    except UnknownNodeError:  # removed meanwhile
        return {}
    return {
        "search": Examples(
            response=Found(shown.nodes[:1], shown.graph_version), parameters={"q": names[0]}
        ),
        "show_surroundings": Examples(around, shown),
    }
