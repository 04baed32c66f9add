"""Routes of the decision APIs of language models."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from msgspec import Meta, Struct

from service.compatible.completions import (
    ChatMessage,
    ChatRequest,
    ChatResponse,
    ChatWireRequest,
    read_completion,
)
from service.compatible.decisions import (
    ChoiceOption,
    ChoiceQuestion,
    DecisionRequest,
    DecisionResponse,
    DecisionsWireRequest,
    InputItem,
    InputPart,
    read_decisions,
)
from service.compatible.systemone import (
    SystemOneChoice,
    SystemOneQuestion,
    SystemOneRequest,
    SystemOneResponse,
    SystemOneWireRequest,
    read_system_one,
)
from service.http.access import Role
from service.http.exchange import EncodedResponse, JsonBody
from service.http.gateway import Direct
from service.messages import encode
from service.parts import Parts
from service.routes.classify import ERRORS, example_request
from service.routes.dependencies import READ, Model, Served, Timed
from service.routes.queries import WIRE_QUERY
from service.routes.structs import Examples, StructRoute
from understudy.bundle import Manifest

DESCRIPTION = """
The student answers a `choice` whose options are all labels of the student and whose input is one
node. Everything else goes to the upstream, if there is one. The header `x-understudy-route` says
who answered: `student`, `upstream`, `mixed`, or `refused` if nobody did. See
docs/reference/decisions.md.
"""
PROXY_ERRORS: dict[int | str, dict[str, str]] = {**ERRORS, 400: {}, 502: {}}
DECISIONS = JsonBody(DecisionRequest, read_decisions)
SYSTEM_ONE = JsonBody(SystemOneRequest, read_system_one)
CHAT = JsonBody(ChatRequest, read_completion)
EXAMPLE_LABELS = 3
CHAT_DESCRIPTION = """
The student answers if the answer is restricted to some of its labels, by `response_format` with a
JSON schema, `structured_outputs` or `guided_choice`, and the chat is one user message, which is the
node. Everything else goes to the upstream, if there is one. See docs/reference/decisions.md.
"""


class ListedModel(Struct, frozen=True):
    """A model, with the fields of both APIs."""

    id: str
    name: str
    description: str
    created: Annotated[int, Meta(description="Seconds since 1970.")]
    release_date: str
    object: str = "model"
    owned_by: str = "understudy"


class ModelList(Struct, frozen=True):
    """The served model, in the forms of OpenAI's and Jev's model lists."""

    data: tuple[ListedModel, ...]
    models: tuple[ListedModel, ...]
    object: str = "list"


router = APIRouter(
    prefix="/v1",
    tags=["decisions"],
    route_class=StructRoute,
    dependencies=[READ],
)


@router.post(
    "/decisions",
    summary="Decide (OpenAI's decisions API)",
    description=DESCRIPTION.strip(),
    response_model=DecisionResponse,
    responses=PROXY_ERRORS,
)
async def decide(
    request: Annotated[DecisionsWireRequest, Depends(DECISIONS)], exchange: Timed, served: Served
) -> EncodedResponse:
    return await served.decision_proxy.answer(exchange, request)


@router.post(
    "/systemone",
    summary="Decide (Jev's systemone API)",
    description=DESCRIPTION.strip(),
    response_model=SystemOneResponse,
    responses=PROXY_ERRORS,
)
async def system_one(
    request: Annotated[SystemOneWireRequest, Depends(SYSTEM_ONE)], exchange: Timed, served: Served
) -> EncodedResponse:
    return await served.decision_proxy.answer(exchange, request)


@router.post(
    "/chat/completions",
    summary="Choose a label (OpenAI's chat completions API)",
    description=CHAT_DESCRIPTION.strip(),
    response_model=ChatResponse,
    responses=PROXY_ERRORS,
)
async def complete_chat(
    request: Annotated[ChatWireRequest, Depends(CHAT)], exchange: Timed, served: Served
) -> EncodedResponse:
    return await served.decision_proxy.answer(exchange, request)


@router.get("/models", summary="List the served model (OpenAI's and Jev's APIs)")
async def list_models(served: Served) -> ModelList:
    listed = (listed_model(served.slot.engine.manifest),)
    return ModelList(listed, listed)


@router.get(
    "/models/{model:id}",
    summary="Get the served model by its id (OpenAI's API)",
    responses={404: {}},
)
async def get_model(engine: Model) -> ListedModel:
    return listed_model(engine.manifest)


def listed_model(manifest: Manifest) -> ListedModel:
    made = datetime.fromisoformat(manifest.created)
    description = f"A graph student of {manifest.graph.name}: {', '.join(manifest.label_names)}"
    seconds, day = int(made.timestamp()), made.date().isoformat()
    return ListedModel(manifest.name, manifest.name, description, seconds, day)


def direct(parts: Parts) -> dict[tuple[str, str], Direct]:
    """Makes the direct routes of decisions, for the gateway."""

    def of(name: str, body: JsonBody) -> Direct:
        return Direct(
            name,
            Role.read,
            parts.access,
            WIRE_QUERY.read,
            body,
            parts.decision_proxy.answer,
            parts.freshness.reach,
        )

    return {
        ("POST", "/v1/decisions"): of(decide.__name__, DECISIONS),
        ("POST", "/v1/systemone"): of(system_one.__name__, SYSTEM_ONE),
    }


def examples(parts: Parts) -> dict[str, Examples]:
    """Makes example requests about a stored node."""
    engine = parts.slot.engine
    labels = engine.manifest.label_names[:EXAMPLE_LABELS]
    node: dict[str, Any] = {"node": {"id": example_request(engine).nodes[0].id}}
    choices = tuple(ChoiceOption(label) for label in labels)
    message = InputItem((InputPart("input_json", data=node),), "user")
    question = ChoiceQuestion("Which category is it?", choices, "category")
    by_name: dict[str, SystemOneQuestion] = {
        "category": SystemOneChoice(dict.fromkeys(labels), "Which category is it?")
    }
    messages = (ChatMessage("user", encode(node).decode()),)
    return {
        "complete_chat": Examples(
            ChatRequest(engine.manifest.name, messages, structured_outputs={"choice": labels})
        ),
        "decide": Examples(DecisionRequest(engine.manifest.name, (message,), (question,))),
        "system_one": Examples(SystemOneRequest(engine.manifest.name, node, by_name)),
        "list_models": Examples(),
        "get_model": Examples(parameters={"model": engine.manifest.name}),
    }
