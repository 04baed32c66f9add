"""Baselines for a stored node: a plain FastAPI route, and a bare ASGI application."""

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send


class Node(BaseModel):
    id: str | None = None
    text: str | None = None
    neighbors: list[str] = []


class ClassifyRequest(BaseModel):
    nodes: list[Node]
    route: str = "student"
    top_k: int = 1


class LabelScore(BaseModel):
    label: str
    score: float


class Prediction(BaseModel):
    index: int
    id: str | None
    label: str | None
    score: float | None
    top: list[LabelScore]
    route: str = "student"
    cached: bool = False
    error: str | None = None


class ClassifyResponse(BaseModel):
    model: str
    model_version: str
    graph_version: int
    predictions: list[Prediction]


ANSWER = ClassifyResponse(
    model="constant",
    model_version="0123456789abcdef",
    graph_version=0,
    predictions=[
        Prediction(
            index=0, id="a", label="net", score=0.97, top=[LabelScore(label="net", score=0.97)]
        )
    ],
)
plain = FastAPI()


@plain.post("/classify")
async def classify(request: ClassifyRequest) -> ClassifyResponse:
    return ANSWER


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends the body back; only what uvicorn itself costs."""
    if scope["type"] != "http":
        return
    message = await receive()
    body = message["body"]
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
