"""Embeddings by OpenAI's own client, and similar nodes, over a real server."""

from base64 import b64decode
from collections.abc import Iterator

import httpx
import numpy as np
import openai
import pytest

from service.app import create_app
from service.settings import Settings
from tests.bundles import HIDDEN, TinyBundle
from tests.http_servers import serve
from understudy.engine import Engine, Node
from understudy.engine.similar import hidden_states, most_similar

LIMITS = Settings(max_nodes=5, max_text_characters=100).limits


@pytest.fixture(scope="module")
def engine(tiny_bundle: TinyBundle) -> Engine:
    return Engine.open(tiny_bundle.folder, limits=LIMITS)


@pytest.fixture(scope="module")
def url(engine: Engine) -> Iterator[str]:
    address, stop = serve(create_app(engine, Settings()))
    yield address
    stop()


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url) as asking:
        yield asking


def expected(engine: Engine, *nodes: Node) -> np.ndarray:
    resolution = engine.resolve(nodes)
    hidden = hidden_states(resolution, engine.infer(resolution) if resolution.unseen else None)
    return hidden[np.argsort(resolution.positions)]


def test_a_form_of_null_is_the_usual_one(client: httpx.Client) -> None:
    sent = [{"input": "node-3", "encoding_format": form} for form in (None, "float")]
    first, second = (client.post("/v1/embeddings", json=body) for body in sent)
    assert first.status_code == 200, first.text
    assert first.json() == second.json()


@pytest.mark.parametrize("form", ["float", "base64", None])
def test_openais_client_reads_the_vectors(engine: Engine, url: str, form: str | None) -> None:
    """Without a form it asks for base64 and decodes that itself."""
    given = {} if form is None else {"encoding_format": form}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as asking:
        answer = asking.embeddings.create(
            model="tiny-hashing",
            input=["http json", "node-3"],
            **given,
        )
    expected_vectors = expected(engine, Node(text="http json"), Node(id="node-3"))
    assert [entry.index for entry in answer.data] == [0, 1]
    assert [entry.model_extra for entry in answer.data] == [{"node": "unseen"}, {"node": "stored"}]
    if form == "base64":
        texts = [str(entry.embedding) for entry in answer.data]
        vectors = [np.frombuffer(b64decode(text), "<f4") for text in texts]
    else:
        vectors = [np.array(entry.embedding) for entry in answer.data]
    np.testing.assert_allclose(vectors, expected_vectors, atol=1e-6)
    assert answer.usage.total_tokens > 0
    assert answer.model == "tiny-hashing"


def test_a_node_with_neighbors_and_a_lone_string(engine: Engine, client: httpx.Client) -> None:
    node = {"text": "http", "neighbors": ["node-1", "node-2"]}
    answer = client.post("/v1/embeddings", json={"input": [node]}).json()
    vectors = expected(engine, Node(text="http", neighbors=("node-1", "node-2")))
    np.testing.assert_allclose(answer["data"][0]["embedding"], vectors[0], atol=1e-6)
    (lone,) = client.post("/v1/embeddings", json={"input": "node-1"}).json()["data"]
    assert (lone["node"], len(lone["embedding"])) == ("stored", HIDDEN)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"input": []}, 422, "invalid_field"),
        ({"input": [[1, 2]]}, 422, "invalid_field"),
        ({"input": ["x"] * 6}, 422, "invalid_field"),
        ({"input": "x", "dimensions": 5}, 422, "invalid_field"),
        ({"input": "x", "encoding_format": "hex"}, 422, "invalid_field"),
        ({"input": "x", "model": "other"}, 404, "unknown_model"),
        ({"input": ["x", " "]}, 422, "empty_text"),
        ({"input": ["x" * 101]}, 422, "text_too_long"),
        ({"input": [{"id": "nobody"}]}, 404, "unknown_node"),
    ],
)
def test_what_cannot_be_embedded_is_refused(
    client: httpx.Client, body: object, status: int, code: str
) -> None:
    answer = client.post("/v1/embeddings", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_similar_nodes(engine: Engine, client: httpx.Client) -> None:
    answer = client.get("/nodes/node-5/similar?k=3").json()
    view, found = engine.state.graph, most_similar(engine.state, 5, 3)
    assert [entry["id"] for entry in answer["similar"]] == [view.id(r) for r in found.rows.tolist()]
    assert (answer["id"], answer["graph_version"]) == ("node-5", 0)
    near = client.get("/nodes/node-5/similar?label=games&k=1000").json()["similar"]
    assert near
    assert {entry["label"] for entry in near} == {"games"}
    assert len(client.get("/nodes/node-5/similar").json()["similar"]) == 10


@pytest.mark.parametrize(
    ("query", "field"), [("k=0", "k"), ("k=1001", "k"), ("k=many", "k"), ("label=nosuch", "label")]
)
def test_a_wrong_parameter_is_named(client: httpx.Client, query: str, field: str) -> None:
    answer = client.get(f"/nodes/node-5/similar?{query}")
    assert (answer.status_code, answer.json()["error"]["details"]) == (422, {"field": field})


def test_an_id_may_end_as_the_route_does(engine: Engine, client: httpx.Client) -> None:
    assert client.put("/nodes/a%2Fsimilar", json={"text": "http"}).status_code == 200
    assert client.get("/nodes/a%2Fsimilar").json()["id"] == "a/similar"
    assert client.get("/nodes/a/similar").status_code == 404  # there is no node `a`
    assert client.delete("/nodes/a%2Fsimilar").status_code == 200
