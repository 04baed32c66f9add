"""gRPC over a real socket: NVIDIA's client, and calls that no client would make."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Queue
from typing import Any

import grpc  # type: ignore[import-untyped]
import numpy as np
import pytest
import tritonclient.grpc as triton  # type: ignore[import-untyped]
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from service.app import Service, create_app
from service.grpc.protocol import SERVICE, message_class
from service.grpc.server import GrpcOptions, GrpcServer
from service.http.access import Role, add_key
from service.settings import Settings
from tests.bundles import TinyBundle
from understudy.engine import Engine, Node

MODEL = "tiny-hashing"
WAIT = 20  # seconds, for what should take milliseconds
LONG_TEXT = "http " * 300  # more than is answered on the event loop, which a held one would block


def options(settings: Settings, port: int = 0) -> GrpcOptions:
    bounds = settings.max_body_bytes, settings.max_head_bytes, settings.max_connections
    seconds = settings.receive_seconds, settings.send_seconds
    return GrpcOptions("127.0.0.1", port, *bounds, *seconds)


@contextmanager
def running(engine: Engine, settings: Settings) -> Iterator[tuple[Service, GrpcServer, Any]]:
    """A server on an event loop in a thread; the last is that loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def carry_out(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(WAIT)

    async def begin() -> tuple[Service, GrpcServer]:
        app = create_app(engine, settings)
        server = GrpcServer(app, options(settings), app.parts.executor, app.count_unread)
        await server.start()
        return app, server

    app, server = carry_out(begin())
    try:
        yield app, server, carry_out
    finally:
        carry_out(server.stop(0))
        carry_out(app.parts.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def engine(tiny_bundle: TinyBundle) -> Engine:
    return Engine.open(tiny_bundle.folder)


@pytest.fixture(scope="module")
def served(engine: Engine) -> Iterator[tuple[Service, GrpcServer]]:
    with running(engine, Settings()) as (app, server, _):
        yield app, server


@pytest.fixture(scope="module")
def client(served: tuple[Service, GrpcServer]) -> Iterator[Any]:
    with triton.InferenceServerClient(served[1].address) as asking:
        yield asking


def tensor(name: str, *values: str) -> Any:
    made = triton.InferInput(name, [len(values)], "BYTES")
    made.set_data_from_numpy(np.array(values, dtype=np.object_))
    return made


def call(
    address: str, called: str, metadata: tuple[tuple[str, str], ...] = (), **fields: Any
) -> Any:
    """A call by grpcio alone."""
    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary(
            f"/{SERVICE}/{called}",
            request_serializer=message_class(f"{called}Request").SerializeToString,
            response_deserializer=message_class(f"{called}Response").FromString,
        )
        return ask(message_class(f"{called}Request")(**fields), metadata=metadata, timeout=WAIT)


def ids_request(*names: str, **more: Any) -> dict[str, Any]:
    return infer_request({"bytes_contents": [name.encode() for name in names]}, **more)


def infer_request(contents: dict[str, list[Any]], **more: Any) -> dict[str, Any]:
    own = {"name": "id", "datatype": "BYTES", "shape": [len(contents.get("bytes_contents", "a"))]}
    return {"model_name": MODEL, "inputs": [own | {"contents": contents}], **more}


def test_nvidias_client_asks_about_server_and_model(client: Any, engine: Engine) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, engine.model_version)
    about = client.get_server_metadata()
    assert (about.name, about.version) == ("understudy", engine.model_version)
    model = client.get_model_metadata(MODEL)
    assert (model.name, list(model.versions)) == (MODEL, [engine.model_version])
    assert [(t.name, t.datatype, list(t.shape)) for t in model.outputs] == [
        ("label", "BYTES", [-1]),
        ("score", "FP32", [-1]),
    ]


def test_limits_beyond_what_grpc_can_count_are_its_own(tiny_bundle: TinyBundle) -> None:
    roomy = Settings(max_body_bytes=3 * 2**30, max_head_bytes=3 * 2**30)
    with (
        running(Engine.open(tiny_bundle.folder), roomy) as (_, server, _),
        triton.InferenceServerClient(server.address) as asking,
    ):
        assert asking.is_server_ready()


def test_nvidias_client_classifies(client: Any, engine: Engine) -> None:
    nodes = [Node(id="node-7"), Node(text="http socket ü", neighbors=("node-1", "node-2"))]
    inputs = [
        tensor("id", "node-7", ""),
        tensor("text", "", "http socket ü"),
        tensor("neighbors", "", '["node-1", "node-2"]'),
    ]
    response = client.infer(MODEL, inputs, request_id="mine")
    expected = engine.classify(nodes)
    assert [v.decode() for v in response.as_numpy("label").tolist()] == [p.label for p in expected]
    np.testing.assert_allclose(
        response.as_numpy("score"), [p.score or 0 for p in expected], atol=1e-5
    )
    assert response.get_response().id == "mine"
    wanted = [triton.InferRequestedOutput("score")]
    alone = client.infer(MODEL, inputs, engine.model_version, outputs=wanted).get_response()
    assert [output.name for output in alone.outputs] == ["score"]


def test_typed_contents_are_answered_in_typed_contents(
    served: tuple[Service, GrpcServer], engine: Engine
) -> None:
    answer = call(served[1].address, "ModelInfer", **ids_request("node-1", "node-2"))
    expected = engine.classify([Node(id="node-1"), Node(id="node-2")])
    label, score = answer.outputs
    assert not answer.raw_output_contents
    assert [v.decode() for v in label.contents.bytes_contents] == [p.label for p in expected]
    assert list(score.contents.fp32_contents) == pytest.approx(
        [p.score for p in expected], abs=1e-5
    )


@pytest.mark.parametrize(
    ("name", "fields", "code", "words"),
    [
        ("ModelInfer", ids_request("nobody"), "NOT_FOUND", "unknown_node"),
        ("ModelInfer", ids_request("a") | {"model_name": "x/y"}, "NOT_FOUND", "unknown_model"),
        ("ModelInfer", {"model_name": MODEL}, "INVALID_ARGUMENT", "invalid_field"),
        ("ModelInfer", ids_request("a", raw_input_contents=[b""] * 2), "INVALID_ARGUMENT", "raw"),
        (
            "ModelInfer",
            infer_request({}, raw_input_contents=[b"\xff"]),
            "INVALID_ARGUMENT",
            "middle of a value",
        ),
        (
            "ModelInfer",
            ids_request("node-1", raw_input_contents=[b"\x06\0\0\0node-2"]),
            "INVALID_ARGUMENT",
            "inputs.0.contents: expected none beside raw_input_contents",
        ),
        (
            "ModelInfer",
            infer_request({"bytes_contents": [b"node-1"], "int_contents": [2]}),
            "INVALID_ARGUMENT",
            "inputs.0.contents: expected only bytes_contents, not int_contents",
        ),
        ("ModelReady", {"name": "other"}, "NOT_FOUND", "unknown_model"),
        ("ModelMetadata", {"name": MODEL, "version": "1"}, "NOT_FOUND", "unknown_model"),
    ],
)
def test_a_refusal_has_its_status_and_says_why(
    served: tuple[Service, GrpcServer], name: str, fields: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(served[1].address, name, **fields)
    assert caught.value.code().name == code
    assert words in caught.value.details()


def test_calls_are_counted_and_answered_with_their_ids(served: tuple[Service, GrpcServer]) -> None:
    app, server = served
    with grpc.insecure_channel(server.address) as channel:
        ask = channel.unary_unary(f"/{SERVICE}/ServerLive", None, None)
        _, done = ask.with_call(b"", metadata=(("x-request-id", "one-of-mine"),), timeout=WAIT)
    metadata = dict(done.trailing_metadata())
    assert metadata["x-request-id"] == "one-of-mine"
    assert float(metadata["x-total-time"]) > 0
    assert b'operation="oip_live",status="200"' in app.parts.metrics.render()


def test_a_call_waits_for_the_version_that_it_asks_for(served: tuple[Service, GrpcServer]) -> None:
    later = (("x-min-graph-version", "1000"), ("x-timeout-seconds", "0.05"))
    assert call(served[1].address, "ModelInfer", later[1:], **ids_request("node-1")).outputs
    with pytest.raises(grpc.RpcError) as caught:
        call(served[1].address, "ModelInfer", later, **ids_request("node-1"))
    assert caught.value.code().name == "UNAVAILABLE"
    assert "version_not_reached" in caught.value.details()


def test_keys_and_limits_are_those_of_http(engine: Engine, tmp_path: Path) -> None:
    secret = add_key(tmp_path / "keys.json", "reader", Role.read)
    settings = Settings(
        keys_file=tmp_path / "keys.json", max_body_bytes=2_000, rate_limit=0.001, rate_burst=3
    )
    key = (("authorization", f"Bearer {secret}"),)
    with running(engine, settings) as (_, server, _):
        assert call(server.address, "ServerLive").live
        asked: list[tuple[str, Callable[[], Any]]] = [
            ("UNAUTHENTICATED", lambda: call(server.address, "ServerMetadata")),
            ("OK", lambda: call(server.address, "ServerMetadata", key)),
            (
                "RESOURCE_EXHAUSTED",
                lambda: call(server.address, "ModelInfer", key, **ids_request("a" * 3_000)),
            ),
            ("OK", lambda: call(server.address, "ServerMetadata", key)),
            ("RESOURCE_EXHAUSTED", lambda: call(server.address, "ServerMetadata", key)),
        ]
        codes = []
        for _, ask in asked:
            try:
                ask()
                codes.append("OK")
            except grpc.RpcError as error:
                codes.append(error.code().name)
    assert codes == [code for code, _ in asked]


def test_a_call_that_runs_is_finished_and_no_new_one_begins(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer, entered, gate = engine.infer, threading.Event(), threading.Event()

    def held(resolution: Any) -> Any:
        entered.set()
        assert gate.wait(WAIT)
        return infer(resolution)

    with running(engine, Settings()) as (app, server, carry_out):
        monkeypatch.setattr(engine, "infer", held)
        with triton.InferenceServerClient(server.address) as asking:
            answers: Queue[tuple[Any, Any]] = Queue()
            asking.async_infer(
                MODEL,
                [tensor("text", LONG_TEXT)],
                lambda result, error: answers.put((result, error)),
            )
            assert entered.wait(WAIT)
            app.drain()
            assert not call(server.address, "ServerReady").ready
            ending = threading.Thread(target=lambda: carry_out(server.stop(WAIT)))
            ending.start()
            gate.set()
            ending.join()
            with pytest.raises(grpc.RpcError):
                call(server.address, "ServerLive")
            result, error = answers.get(timeout=WAIT)
        assert error is None
        assert result.as_numpy("label").shape == (1,)


def test_calls_beyond_the_limit_are_refused_and_counted(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer, entered, gate = engine.infer, threading.Event(), threading.Event()

    def held(resolution: Any) -> Any:
        entered.set()
        assert gate.wait(WAIT)
        return infer(resolution)

    with running(engine, Settings(max_connections=1)) as (app, server, _):
        monkeypatch.setattr(engine, "infer", held)
        with triton.InferenceServerClient(server.address) as asking:
            answers: Queue[tuple[Any, Any]] = Queue()
            asking.async_infer(
                MODEL,
                [tensor("text", LONG_TEXT)],
                lambda result, error: answers.put((result, error)),
            )
            assert entered.wait(WAIT)
            for _ in range(3):
                with pytest.raises(grpc.RpcError) as caught:
                    call(server.address, "ServerLive")
            refusal = caught.value
            assert refusal.code().name == "RESOURCE_EXHAUSTED"
            assert "overloaded: too many calls" in refusal.details()
            metadata = dict(refusal.trailing_metadata())
            assert metadata["retry-after"] == "1"
            assert metadata["x-request-id"]
            gate.set()
            assert answers.get(timeout=WAIT)[1] is None
        figures = app.parts.metrics.render().decode().splitlines()
        assert 'understudy_rejections_total{reason="overloaded"} 3.0' in figures
        assert 'understudy_requests_total{operation="other",status="429"} 3.0' in figures
        assert wait_for_place(server.address)


def wait_for_place(address: str) -> bool:
    """Asks until a call that was answered has ended on the other side, too."""
    for _ in range(1_000):
        with suppress(grpc.RpcError):
            return bool(call(address, "ServerLive").live)
    return False


def test_a_deadline_ends_a_call(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, infer = threading.Event(), engine.infer

    def held(resolution: Any) -> Any:
        assert gate.wait(WAIT)
        return infer(resolution)

    with running(engine, Settings()) as (_, server, _):
        monkeypatch.setattr(engine, "infer", held)
        with triton.InferenceServerClient(server.address) as asking:
            with pytest.raises(InferenceServerException, match="DEADLINE_EXCEEDED"):
                asking.infer(MODEL, [tensor("text", "http")], client_timeout=0.2)
            short = {"x-timeout-seconds": "0.1"}
            with pytest.raises(InferenceServerException, match="deadline_passed"):
                asking.infer(MODEL, [tensor("text", "http")], headers=short)
            gate.set()


def test_calls_that_grpc_itself_would_refuse_are_counted(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        running(engine, Settings(max_body_bytes=1_000)) as (app, server, _),
        grpc.insecure_channel(server.address) as channel,
    ):

        def refused(method: str, message: bytes) -> tuple[str, str]:
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(method)(message, timeout=WAIT)
            return caught.value.code().name, caught.value.details()

        for method in (f"/{SERVICE}/RepositoryIndex", "/other.Service/ServerLive"):
            status, details = refused(method, b"")
            assert status == "UNIMPLEMENTED"
            assert details.startswith(f"unknown_method: {SERVICE} has the methods ServerLive, ")
        for name in ("ModelInfer", "ServerLive"):
            found = refused(f"/{SERVICE}/{name}", b"\xff\xff junk")
            expected = f"malformed_message: the message is not an inference.{name}Request"
            assert found == ("INVALID_ARGUMENT", expected)
        message = message_class("ModelInferRequest")(raw_input_contents=[b"one too many"])
        status, details = refused(f"/{SERVICE}/ModelInfer", message.SerializeToString())
        assert (status, "invalid_field: raw" in details) == ("INVALID_ARGUMENT", True)
        status, details = refused(f"/{SERVICE}/ModelInfer", b"x" * 300_000)
        assert (status, "larger than max" in details) == ("RESOURCE_EXHAUSTED", True)
        assert call(server.address, "ServerLive").live
        figures = app.parts.metrics.render().decode().splitlines()
    for reason, number, count in (
        ("unknown_method", 404, 2),
        ("malformed_message", 400, 2),
        ("invalid_field", 422, 1),
        ("message_not_read", 413, 1),
    ):
        assert f'understudy_rejections_total{{reason="{reason}"}} {count}.0' in figures
        answered = f'understudy_requests_total{{operation="other",status="{number}"}} {count}.0'
        assert answered in figures
    assert not caplog.records
