"""FastAPI with PyTorch Geometric: each request computes the neighbourhood of its nodes.

FastAPI offers no batching. The second form samples neighbours, as GraphSAGE was published, so its
answers differ from the student's.
"""

from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers.arguments import LOOPBACK, read_arguments


class Node(BaseModel):
    id: str | None = None
    text: str | None = None
    neighbors: list[str] = []


class Request(BaseModel):
    nodes: list[Node]
    top_k: int = 1


def main() -> None:
    from benchmarks.peers.predictor import Predictor

    options = read_arguments()
    predictor = Predictor(options.bundle, options.student, tuple(map(int, options.arguments)))
    app = FastAPI()

    @app.post("/classify")
    async def classify(request: Request) -> dict[str, Any]:
        nodes = [node.model_dump() for node in request.nodes]
        return {"predictions": predictor.answer(nodes, request.top_k)}

    run(app, options.port)


def run(app: FastAPI, port: int) -> None:
    """Serves as the service itself does."""
    uvicorn.run(
        app,
        host=LOOPBACK,
        port=port,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
