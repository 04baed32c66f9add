"""A client that others generate from the document, against the service that it describes."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Service

PACKAGE = "generated_understudy_client"
COMMAND = ["generate", "--path", "openapi.json", "--meta", "none", "--fail-on-warning"]
COMMAND += ["--output-path", PACKAGE]


@pytest.fixture(scope="module")
def folder(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The generated package, ready to be imported; nothing of the document was skipped."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_bytes(service.client.get("/openapi.json").content)
    tools = Path(sys.executable).parent
    generated = subprocess.run(
        [tools / "openapi-python-client", *COMMAND],
        cwd=folder,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert generated.returncode == 0, generated.stdout + generated.stderr
    sys.path.insert(0, str(folder))
    yield folder / PACKAGE
    sys.path.remove(str(folder))


def load(name: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.{name}")


@pytest.fixture
def client(service: Service, folder: Path) -> Iterator[Any]:
    assert folder.is_dir()
    with load("client").Client(base_url=service.url) as running:
        yield running


@pytest.mark.usefixtures("folder")
def test_every_operation_has_its_function(service: Service, folder: Path) -> None:
    paths = service.client.get("/openapi.json").json()["paths"]
    expected = {operation["operationId"] for item in paths.values() for operation in item.values()}
    assert {path.stem for path in folder.glob("api/*/*.py")} - {"__init__"} == expected


def test_it_describes_and_classifies(client: Any) -> None:
    models = load("models")
    info = load("api.operations.info").sync(client=client)
    assert info.encoder.word_ngrams == [1, 2]
    nodes = [models.Node(id="node-1"), models.Node(text="http", neighbors=["node-2"])]
    request = models.ClassifyRequest(nodes=nodes, top_k=2)
    answer = load("api.classification.classify").sync(client=client, body=request)
    assert answer.model == info.model
    assert [len(prediction.top) for prediction in answer.predictions] == [2, 2]
    wrong = models.ClassifyRequest(nodes=[models.Node(id="nobody")])
    refused = load("api.classification.classify").sync(client=client, body=wrong)
    assert isinstance(refused, models.ErrorBody)
    assert refused.error.code == "unknown_node"
    assert refused.error.details["id"] == "nobody"


def test_it_changes_the_graph(client: Any) -> None:
    models, graph = load("models"), "api.graph"
    node = models.NodeBody(text="http", neighbors=["node-1"])
    load(f"{graph}.put_node").sync("generated/neighbors", client=client, body=node)
    stored = load(f"{graph}.get_node").sync("generated/neighbors", client=client)
    assert (stored.id, stored.degree) == ("generated/neighbors", 1)
    edge = models.EdgeBody(source="generated/neighbors", target="node-2")
    assert load(f"{graph}.add_edge").sync(client=client, body=edge).graph_version
    assert load(f"{graph}.remove_edge").sync(client=client, body=edge).graph_version
    near = load(f"{graph}.get_neighbors").sync("generated/neighbors", client=client)
    assert near.neighbors == ["node-1"]
    changes = models.MutationsBody.from_dict(
        {
            "mutations": [
                {"kind": "upsert_node", "id": "generated/2", "text": "proof"},
                {"kind": "add_edge", "source": "generated/2", "target": "node-1"},
                {"kind": "remove_edge", "source": "generated/2", "target": "node-1"},
                {"kind": "delete_node", "id": "generated/2"},
            ]
        }
    )
    kinds = [type(mutation).__name__ for mutation in changes.mutations]
    assert kinds == ["Upsert", "Link", "Unlink", "Delete"]
    answer = load(f"{graph}.mutate").sync(client=client, body=changes, idempotency_key="g-1")
    assert not answer.repeated
    assert load(f"{graph}.delete_node").sync("generated/neighbors", client=client).graph_version


def test_it_speaks_the_open_inference_protocol(client: Any) -> None:
    models, protocol = load("models"), "api.open_inference_protocol"
    tensor = models.Tensor(name="id", shape=[1], datatype="BYTES", data=["node-1"])
    body = models.InferRequest(inputs=[tensor])
    answer = load(f"{protocol}.oip_infer").sync("tiny-hashing", client=client, body=body)
    assert [output.name for output in answer.outputs] == ["label", "score"]
    refused = load(f"{protocol}.oip_infer").sync("other", client=client, body=body)
    assert isinstance(refused, models.InferenceErrorBody)
    assert refused.error.startswith("unknown_model")


def test_no_schema_says_what_generators_cannot_read(service: Service) -> None:
    document = service.client.get("/openapi.json").json()
    words = json.dumps(document["components"]["schemas"])
    assert "prefixItems" not in words
    assert '"items": false' not in words
