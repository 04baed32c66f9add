"""NVIDIA's client of the Open Inference Protocol, as its users would use it."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton  # type: ignore[import-untyped]
import tritonclient.http.aio as triton_aio  # type: ignore[import-untyped]
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from tests.bundles import TinyBundle
from tests.e2e.conftest import Service

MODEL = "tiny-hashing"
Texts = NDArray[np.object_]


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Any]:
    with triton.InferenceServerClient(service.url.removeprefix("http://")) as running:
        yield running


def texts(*values: str) -> Texts:
    return np.array(values, dtype=np.object_)


def tensor(name: str, values: Texts, binary: bool = True, kind: str = "BYTES") -> Any:
    result = triton.InferInput(name, list(values.shape), kind)
    result.set_data_from_numpy(values, binary_data=binary)
    return result


def expected(service: Service, nodes: Sequence[object]) -> tuple[list[str], list[float]]:
    predictions = service.classify(*nodes).json()["predictions"]
    return [p["label"] for p in predictions], [p["score"] for p in predictions]


def labels_of(result: Any) -> list[str]:
    return [v.decode() if isinstance(v, bytes) else v for v in result.as_numpy("label").tolist()]


NODES = [{"id": "node-7"}, {"text": "http socket ü", "neighbors": ["node-1", "node-2"]}]
COLUMNS = {
    "id": texts("node-7", ""),
    "text": texts("", "http socket ü"),
    "neighbors": texts("", json.dumps(["node-1", "node-2"])),
}


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("wanted", [None, True, False])
def test_bytes_and_json_both_ways(
    service: Service, client: Any, shape: tuple[int, ...], sent: bool, wanted: bool | None
) -> None:
    inputs = [tensor(name, values.reshape(shape), sent) for name, values in COLUMNS.items()]
    outputs = None
    if wanted is not None:
        names = ("score", "label")
        outputs = [triton.InferRequestedOutput(name, binary_data=wanted) for name in names]
    result = client.infer(MODEL, inputs, outputs=outputs, request_id="r-1")
    labels, scores = expected(service, NODES)
    assert labels_of(result) == labels
    assert result.as_numpy("label").shape == result.as_numpy("score").shape == (2,)
    np.testing.assert_allclose(result.as_numpy("score"), scores, atol=1e-6)
    assert result.as_numpy("score").dtype == np.float32
    assert result.get_response()["id"] == "r-1"
    assert result.get_response()["model_name"] == MODEL
    parameters = result.get_output("score").get("parameters", {})
    assert ("binary_data_size" in parameters) == (wanted is not False)


def test_one_output_in_bytes_and_one_in_json(service: Service, client: Any) -> None:
    outputs = [
        triton.InferRequestedOutput("label", binary_data=False),
        triton.InferRequestedOutput("score", binary_data=True),
    ]
    result = client.infer(MODEL, [tensor("id", texts("node-3"))], outputs=outputs)
    labels, scores = expected(service, [{"id": "node-3"}])
    assert labels_of(result) == labels
    np.testing.assert_allclose(result.as_numpy("score"), scores, atol=1e-6)
    alone = client.infer(MODEL, [tensor("id", texts("node-3"))], outputs=outputs[1:])
    assert alone.as_numpy("label") is None


def test_the_server_and_its_model_are_described(client: Any, tiny_bundle: TinyBundle) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata(MODEL)
    assert [entry["name"] for entry in metadata["outputs"]] == ["label", "score"]
    (version,) = metadata["versions"]
    assert client.is_model_ready(MODEL, version)
    assert client.get_model_metadata(MODEL, version) == metadata
    assert not client.is_model_ready(MODEL, "7")
    result = client.infer(MODEL, [tensor("id", texts("node-1"))], model_version=version)
    assert result.get_response()["model_version"] == version


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_answers_come_compressed_where_asked(service: Service, client: Any, encoding: str) -> None:
    ids = texts(*[f"node-{number % 40}" for number in range(300)])
    result = client.infer(MODEL, [tensor("id", ids)], response_compression_algorithm=encoding)
    labels, _ = expected(service, [{"id": node_id} for node_id in ids.tolist()])
    assert labels_of(result) == labels


def test_many_at_once_and_in_the_background(client: Any) -> None:
    waiting = [client.async_infer(MODEL, [tensor("id", texts(f"node-{n}"))]) for n in range(8)]
    answers = [request.get_result() for request in waiting]
    assert all(len(labels_of(answer)) == 1 for answer in answers)


def test_the_asyncio_client(service: Service) -> None:
    async def ask() -> tuple[Any, Any]:
        async with triton_aio.InferenceServerClient(service.url.removeprefix("http://")) as client:
            ids = texts(*[f"node-{number % 40}" for number in range(300)])
            metadata = await client.get_model_metadata(MODEL)
            return metadata, await client.infer(MODEL, [tensor("id", ids)])

    metadata, result = asyncio.run(ask())
    assert metadata["name"] == MODEL
    assert len(labels_of(result)) == 300


def test_parameters_that_change_nothing_are_left_unread(client: Any) -> None:
    inputs = [tensor("id", texts("node-1"))]
    result = client.infer(
        MODEL,
        inputs,
        priority=1,
        timeout=30_000_000,
        sequence_id=5,
        sequence_start=True,
        parameters={"team": "search"},
    )
    assert len(labels_of(result)) == 1


def number_tensor() -> Any:
    values = np.ones(1, dtype=np.float32)
    return tensor("text", values, kind="FP32")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("inputs", "status", "message"),
    [
        ([tensor("id", texts("nobody"))], "404", "unknown_node: .*'nobody'"),
        ([tensor("ids", texts("node-1"))], "422", r"inputs\.0\.name: expected each of id, text"),
        ([number_tensor()], "422", r"inputs\.0\.datatype: expected BYTES"),
        ([tensor("id", texts("a", "b").reshape(1, 2))], "422", r"inputs\.0\.shape"),
        ([tensor("id", texts())], "422", r"inputs\.0\.shape"),
        ([], "422", "inputs: "),
        ([tensor("id", texts("a")), tensor("id", texts("a"))], "422", r"inputs\.1\.name"),
        (
            [tensor("id", texts("a")), tensor("text", texts("a", "b"))],
            "422",
            "same number of values",
        ),
        ([tensor("neighbors", texts("node-1"))], "422", "expected a JSON array of ids"),
        ([tensor("neighbors", texts('["\\ud800"]'))], "422", "expected a JSON array of ids"),
        ([tensor("neighbors", texts("[" * 9_999))], "422", "expected a JSON array of ids"),
    ],
)
def test_what_is_wrong_is_said_in_words(
    client: Any, inputs: list[Any], status: str, message: str
) -> None:
    with pytest.raises(InferenceServerException, match=message) as caught:
        client.infer(MODEL, inputs)
    assert caught.value.status() == status


def test_unknown_models_versions_and_outputs_are_named(client: Any) -> None:
    inputs = [tensor("id", texts("node-1"))]
    with pytest.raises(InferenceServerException, match="no model 'other'"):
        client.infer("other", inputs)
    with pytest.raises(InferenceServerException, match="no version '7'"):
        client.infer(MODEL, inputs, model_version="7")
    with pytest.raises(InferenceServerException, match=r"outputs\.0\.name: expected label or"):
        client.infer(MODEL, inputs, outputs=[triton.InferRequestedOutput("labels")])
    with pytest.raises(InferenceServerException, match="not supported"):
        client.infer(MODEL, inputs, outputs=[triton.InferRequestedOutput("label", class_count=2)])
    with pytest.raises(InferenceServerException, match="not_found"):
        client.get_model_config(MODEL)
    with pytest.raises(InferenceServerException, match="microseconds"):
        client.infer(MODEL, inputs, timeout=-1)


def test_a_timeout_is_the_requests_own_deadline(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="deadline_passed") as caught:
        client.infer(MODEL, [tensor("text", texts("http"))], timeout=1)
    assert caught.value.status() == "504"


HEADER = {"inputs": [{"name": "id", "shape": [1], "datatype": "BYTES"}]}


@pytest.mark.parametrize(
    ("size", "tail", "message"),
    [
        (10, b"\x06\0\0\0node-1", None),
        (10, b"\x06\0\0\0node-1\0", "1 bytes of data belong to no"),
        (11, b"\x06\0\0\0node-1", "a number of bytes, of the 10 that"),
        (-1, b"\x06\0\0\0node-1", "a number of bytes, of the 10 that"),
        (True, b"\x06\0\0\0node-1", "a number of bytes, of the 10 that"),
        (10, b"\x07\0\0\0node-1", "middle of a value"),
        (3, b"\x06\0\0", "middle of a value"),
        (5, b"\x01\0\0\0\xff", "not UTF-8"),
        (7, b"\x03\0\0\0\xed\xa0\x80", "not UTF-8"),
        (8, b"\0\0\0\0\0\0\0\0", "there are 2"),
        (0, b"", "there are 0"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(
    service: Service, size: object, tail: bytes, message: str | None
) -> None:
    value = json.loads(json.dumps(HEADER))
    value["inputs"][0]["parameters"] = {"binary_data_size": size}
    head = json.dumps(value).encode()
    response = infer(service, head + tail, str(len(head)))
    assert response.status_code == (422 if message else 200), response.text
    if message:
        assert message in response.json()["error"]


@pytest.mark.parametrize("length", ["", "x", "-1", "0", "999", "1e3", "9" * 5_000, "²"])
def test_a_wrong_length_of_the_header_is_named(service: Service, length: str) -> None:
    response = infer(service, json.dumps(HEADER).encode(), length)
    assert response.status_code == 422
    assert "inference-header-content-length" in response.json()["error"]


def infer(service: Service, content: bytes, length: str) -> httpx.Response:
    headers = {b"inference-header-content-length": length.encode("latin-1")}
    return service.client.post(f"/v2/models/{MODEL}/infer", content=content, headers=headers)


def test_nested_json_data_is_read_row_by_row(service: Service) -> None:
    inputs = [
        {"name": "id", "shape": [2, 1], "datatype": "BYTES", "data": [["node-1"], ["node-2"]]}
    ]
    answer = service.client.post(f"/v2/models/{MODEL}/infer", json={"inputs": inputs}).json()
    labels, scores = expected(service, [{"id": "node-1"}, {"id": "node-2"}])
    assert [output["data"] for output in answer["outputs"]] == [labels, scores]
