"""FastAPI with a table of answers, which PyTorch Geometric recomputes after every change.

Stored nodes are looked up. The layers read the edges as a compressed matrix, which is faster than
an edge_index with scatter.
"""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers.arguments import read_arguments
from benchmarks.peers.fastapi_pyg import Request, run


class Mutation(BaseModel):
    kind: str
    source: str
    target: str


class Mutations(BaseModel):
    mutations: list[Mutation]


def main() -> None:
    options = read_arguments()
    from benchmarks.peers.predictions import predictions
    from benchmarks.peers.predictor import Predictor
    from benchmarks.peers.recomputed_graph import Change, RecomputedGraph

    predictor = Predictor(options.bundle, options.student)
    living = RecomputedGraph(predictor)
    app = FastAPI()

    @app.post("/classify")
    async def classify(request: Request) -> dict[str, Any]:
        nodes = [node.model_dump() for node in request.nodes]
        logits = living.table[[predictor.row_of[node["id"]] for node in nodes]]
        return {"predictions": predictions(logits, nodes, predictor.manifest, request.top_k)}

    @app.post("/mutations")
    async def mutate(request: Mutations) -> dict[str, int]:
        changes = [Change(m.kind, m.source, m.target) for m in request.mutations]
        return {"graph_version": living.change(changes)}

    run(app, options.port)


if __name__ == "__main__":
    main()
