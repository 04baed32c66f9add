"""All rivals, in the order of the tables; the server of each is in the file of its name."""

from benchmarks.peers.peer import BATCH, Peer
from benchmarks.peers.triton_protocol import TRITON_PATH, triton_body, triton_scores
from benchmarks.serving.servers import CLIENT_CORE, SERVER_CORE

MOST_DRAWN = (25, 10)  # neighbours a hop (GraphSAGE, arXiv 1706.02216, section 4)
FASTAPI = ("torch_geometric", "fastapi", "uvicorn")
RIVALS = (
    Peer(
        "FastAPI + PyG",
        "PyTorch Geometric over the whole k-hop neighbourhood, computed a request",
        "benchmarks.peers.fastapi_pyg",
        FASTAPI,
    ),
    Peer(
        "FastAPI + PyG, drawn",
        f"at most {' and '.join(map(str, MOST_DRAWN))} neighbours a hop, so other answers",
        "benchmarks.peers.fastapi_pyg",
        FASTAPI,
        arguments=tuple(map(str, MOST_DRAWN)),
        exact=False,
    ),
    Peer(
        "LitServe + PyG",
        f"the first one's predictor behind LitServe, up to {BATCH} requests together",
        "benchmarks.peers.lit_serve",
        ("torch_geometric", "litserve"),
    ),
    Peer(
        "Ray Serve + PyG",
        f"the same behind Ray Serve, up to {BATCH} requests together",
        "benchmarks.peers.ray_serve",
        ("torch_geometric", "ray.serve"),
        start_seconds=240,
        starts=3,
        start_cores=f"{SERVER_CORE},{CLIENT_CORE}",
    ),
    Peer(
        "Triton + PyG",
        f"the same behind Triton (PyTriton), up to {BATCH} requests together",
        "benchmarks.peers.triton",
        ("torch_geometric", "pytriton.triton"),
        path=TRITON_PATH,
        body=triton_body,
        scores=triton_scores,
        start_seconds=240,
    ),
    Peer(
        "Redis table",
        "a frozen table of predictions in Redis behind FastAPI; no model and nothing unseen",
        "benchmarks.peers.redis_table",
        ("fastapi", "uvicorn", "redis"),
        unseen=False,
    ),
    Peer(
        "FastAPI + PyG, recomputed",
        "a table of all predictions, computed anew by PyTorch Geometric at every change",
        "benchmarks.peers.recompute",
        FASTAPI,
        unseen=False,
        changes=True,
    ),
)
KHOP, TABLE = "FastAPI + PyG", "Redis table"
