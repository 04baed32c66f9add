"""Faults around a real service."""

import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from service.http.access import Role, add_key
from tests.bundles import TinyBundle, write_tiny_bundle
from tests.e2e.conftest import (
    POST_CLASSIFY,
    STOP_SECONDS,
    Service,
    command,
    environment,
    received,
    serving,
)
from tests.redis_server import redis_server
from understudy.bundle import Manifest, open_bundle, write_bundle
from understudy.bundle.text_encoder import TOKENIZER_FILE

UNSEEN = {"text": "http socket", "neighbors": ["node-1"]}
CLIENTS = 4


class Load:
    """Clients that ask without a pause until they are told to stop."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stopping = threading.Event()
        self.statuses: list[int] = []
        self.failures: list[str] = []
        self.versions: set[str] = set()
        self.counter = itertools.count()

    def ask(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self.stopping.is_set():
                number = next(self.counter)
                nodes = [{"id": f"node-{number % 40}"}, {**UNSEEN, "text": f"http {number}"}]
                try:
                    response = client.post("/classify", json={"nodes": nodes})
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                    continue
                self.statuses.append(response.status_code)
                if response.status_code == 200:
                    self.versions.add(response.json()["model_version"])
                if response.headers.get("connection") == "close":
                    return  # the service is ending; a balancer would turn elsewhere

    def during(self, action: Callable[[], None]) -> None:
        with ThreadPoolExecutor(CLIENTS) as pool:
            running = [pool.submit(self.ask) for _ in range(CLIENTS)]
            try:
                self.wait_for(20)
                action()
            finally:
                self.stopping.set()
            for client in running:
                client.result()

    def wait_for(self, more: int) -> None:
        """Returns after so many further answers."""
        wanted, deadline = len(self.statuses) + more, time.monotonic() + 30
        while len(self.statuses) < wanted:
            assert time.monotonic() < deadline
            assert not self.failures, self.failures


def test_sigterm_under_load_fails_no_request(tiny_bundle: TinyBundle) -> None:
    with serving(tiny_bundle.folder, "--grace-seconds", "1") as service:
        load = Load(service.url)

        def end() -> None:
            service.process.terminate()
            deadline = time.monotonic() + 20
            while httpx.get(f"{service.url}/health/ready").status_code != 503:
                assert time.monotonic() < deadline

        load.during(end)
        assert service.process.wait(timeout=STOP_SECONDS) == 0
    assert load.failures == []
    assert set(load.statuses) == {200}


def test_a_second_sigterm_ends_the_grace(tiny_bundle: TinyBundle) -> None:
    with serving(tiny_bundle.folder, "--grace-seconds", "600") as service:
        service.process.terminate()
        deadline = time.monotonic() + 20
        while service.client.get("/health/ready").status_code != 503:
            assert time.monotonic() < deadline
        assert service.process.poll() is None
        service.process.terminate()
        assert service.process.wait(timeout=STOP_SECONDS) == 0


def test_sighup_while_loading_ends_nothing(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    """The keys are a pipe: whoever reads it waits, so that the signal comes while loading."""
    keys_file = tmp_path / "keys.json"
    add_key(keys_file, "ci", Role.read)
    content = keys_file.read_bytes()
    keys_file.unlink()
    os.mkfifo(keys_file, 0o600)
    process = subprocess.Popen(
        command(tiny_bundle.folder, "--port", "0", "--keys-file", str(keys_file)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        with keys_file.open("wb") as pipe:  # once the other side is open
            process.send_signal(signal.SIGHUP)
            pipe.write(content)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening on ")
    finally:
        process.terminate()
        _, log = process.communicate(timeout=STOP_SECONDS)
    lines = [json.loads(line) for line in log.splitlines()]
    assert process.returncode == 0
    messages = [line["message"] for line in lines]
    logged = [message for message in messages if not message.startswith("Opening the bundle")]
    assert logged == ["cannot reload: nothing is served yet", "serving", "ending", "ended"]
    assert lines[messages.index("serving")]["url"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("how", ["request", "signal"])
def test_reload_under_load_fails_no_request(
    tiny_bundle: TinyBundle, tmp_path: Path, how: str
) -> None:
    folder = Path(shutil.copytree(tiny_bundle.folder, tmp_path / "bundle"))
    with serving(folder) as service:
        before = service.client.get("/info").json()["model_version"]
        write_tiny_bundle(folder, "minilm")
        load = Load(service.url)

        def reload() -> None:
            if how == "request":
                answer = service.client.post("/admin/reload")
                assert answer.status_code == 200, answer.text
                assert answer.json()["previous_version"] == before
            else:
                service.process.send_signal(signal.SIGHUP)
                deadline = time.monotonic() + 30
                while service.client.get("/info").json()["model_version"] == before:
                    assert time.monotonic() < deadline
            load.wait_for(20)

        load.during(reload)
        after = service.client.get("/info").json()
    assert load.failures == []
    assert set(load.statuses) == {200}
    assert load.versions == {before, after["model_version"]}
    assert after["model"] == "tiny-minilm"


def test_a_damaged_bundle_is_not_reloaded(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bundle.folder, tmp_path / "bundle"))
    with serving(folder) as service:
        before = service.client.get("/info").json()
        folder.rename(tmp_path / "served")
        shutil.copytree(tmp_path / "served", folder)  # as a whole: what is served is not damaged
        with (folder / "activations" / "logits.npy").open("r+b") as stream:
            stream.seek(-1, os.SEEK_END)
            stream.write(b"\x7f")
        refused = service.client.post("/admin/reload")
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "reload_refused")
        assert "logits.npy was changed" in refused.json()["error"]["message"]
        assert str(tmp_path) not in refused.text
        assert service.client.get("/info").json() == before
        service.client.put("/nodes/new", json={"text": "http"}).raise_for_status()
        write_tiny_bundle(folder)  # whole again, and of the same graph
        service.client.post("/admin/reload").raise_for_status()
        assert service.client.get("/nodes/new").json()["text"] == "http"


def test_redis_killed_and_started_again_under_requests(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle", "minilm")
    with redis_server(tmp_path) as redis:
        flags = ("--redis-url", redis.url, "--cached-embeddings", "1", "--rate-limit", "1000000")
        with serving(bundle.folder, *flags) as service:

            def redis_up() -> bool:
                return "understudy_redis_up 1.0" in service.client.get("/metrics").text

            assert service.classify({"text": "http json"}).status_code == 200
            assert list(redis.client.scan_iter("understudy:embedding:*"))
            redis.kill()
            for number in range(20):
                assert service.classify({"text": f"http {number}"}).status_code == 200
            assert not redis_up()
            assert "\nunderstudy_cache_errors_total " in service.client.get("/metrics").text
            assert service.client.get("/health/ready").status_code == 200
            redis.start()
            deadline = time.monotonic() + 30
            while not redis_up():
                assert time.monotonic() < deadline
            assert service.classify({"text": "proof atom"}).status_code == 200
            assert list(redis.client.scan_iter("understudy:embedding:*"))


def test_a_redis_that_no_request_needs_is_watched_all_the_same(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    with (
        redis_server(tmp_path) as redis,
        serving(tiny_bundle.folder, "--redis-url", redis.url) as service,
    ):

        def wait_until_up(value: float) -> None:
            deadline = time.monotonic() + 30
            while f"understudy_redis_up {value}" not in service.client.get("/metrics").text:
                assert time.monotonic() < deadline

        wait_until_up(1.0)
        redis.kill()
        wait_until_up(0.0)
        redis.start()
        wait_until_up(1.0)


def test_clients_that_leave_in_the_middle_leave_nothing_behind(service: Service) -> None:
    nodes = [{**UNSEEN, "text": f"http {n}"} for n in range(200)]
    body = json.dumps({"nodes": nodes}).encode()
    head = POST_CLASSIFY + b"content-length: %d\r\n\r\n" % len(body)
    for cut in (len(body), len(body) // 2, 0):
        for _ in range(10):
            with service.raw_connection() as connection:
                connection.sendall(head + body[:cut])
    deadline = time.monotonic() + 20
    while True:
        metrics = service.client.get("/metrics").text
        if "queue_tokens 0.0" in metrics and "running_requests 1.0" in metrics:
            break
        assert time.monotonic() < deadline
    assert service.classify(UNSEEN).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        POST_CLASSIFY,
        POST_CLASSIFY + b"content-length: 100\r\n\r\n{",
        POST_CLASSIFY + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
    ],
)
def test_a_body_that_trickles_is_given_up(slow: Service, sent: bytes) -> None:
    with slow.raw_connection() as connection:
        connection.sendall(sent or b"P")
        answer = received(connection)  # until the server closes
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"slow_body"' in answer


def test_a_trickle_does_not_buy_time(slow: Service) -> None:
    """A byte now and then keeps no connection alive."""
    with slow.raw_connection() as connection:
        head = POST_CLASSIFY + b"content-length: 100000\r\n\r\n"
        connection.sendall(head)
        connection.settimeout(0.02)
        answer = b""
        for _ in range(1_000):
            try:
                connection.sendall(b" ")
                answer = connection.recv(1_000)
                break
            except TimeoutError:
                continue
            except OSError:
                break
    assert not answer or b" 408 " in answer
    assert slow.classify({"id": "node-1"}).status_code == 200


@pytest.fixture(scope="module")
def slow(tiny_bundle: TinyBundle) -> Iterator[Service]:
    with serving(tiny_bundle.folder, "--receive-seconds", "0.3") as running:
        yield running


def test_too_much_at_once_is_refused_and_then_answered_again(tiny_bundle: TinyBundle) -> None:
    flags = ("--queue-tokens", "200", "--batch-tokens", "50", "--batch-window-ms", "0")
    with serving(tiny_bundle.folder, *flags) as service:
        nodes = [{**UNSEEN, "text": f"http socket {n}"} for n in range(40)]

        def ask(_: int) -> httpx.Response:
            return service.classify(*nodes)

        with ThreadPoolExecutor(16) as pool:
            responses = list(pool.map(ask, range(48)))
        statuses = {response.status_code for response in responses}
        assert statuses == {200, 429}
        for response in responses:
            if response.status_code == 429:
                assert int(response.headers["retry-after"]) >= 1
                assert response.json()["error"]["code"] == "overloaded"
        assert service.classify(UNSEEN).status_code == 200


def test_no_connection_is_accepted_twice_by_a_second_process(tiny_bundle: TinyBundle) -> None:
    with serving(tiny_bundle.folder) as service:
        port = int(service.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), socket.socket() as other:
            other.bind(("127.0.0.1", port))


def test_a_session_that_raises_fails_its_batch_alone(tmp_path: Path) -> None:
    """The tokenizer knows a word that the network does not: onnxruntime itself raises."""
    bundle = write_tiny_bundle(tmp_path / "bundle", "minilm")
    poison(bundle.folder)
    with serving(bundle.folder) as service:
        for _ in range(3):
            broken = service.classify({"text": "poison"})
            assert (broken.status_code, broken.json()["error"]["code"]) == (500, "inference_failed")
            assert "ndices" not in broken.text
            assert service.classify({"text": "http"}).status_code == 200
            assert service.client.get("/health/ready").status_code == 200


def poison(folder: Path) -> None:
    """Adds a word without an embedding to a bundle's tokenizer."""
    old = open_bundle(folder)

    def fill(target: Path) -> Manifest:
        for name in old.manifest.files:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            content = (folder / name).read_bytes()
            if name == TOKENIZER_FILE:
                value = json.loads(content)
                value["model"]["vocab"]["poison"] = 9_999
                content = json.dumps(value).encode()
            (target / name).write_bytes(content)
        return old.manifest

    write_bundle(folder, fill)


def unseen(count: int) -> bytes:
    body = json.dumps({"nodes": [{"text": f"http {number}"} for number in range(count)]}).encode()
    head = POST_CLASSIFY + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    return head + body


def test_who_waits_for_a_batch_leaves_connections_for_who_need_not(tiny_bundle: TinyBundle) -> None:
    limits = ("--max-connections", "20", "--max-nodes", "20000", "--batch-tokens", "1")
    queue = ("--queue-tokens", "1000000", "--queue-seconds", "1e6", "--request-seconds", "1e6")
    with serving(tiny_bundle.folder, *limits, *queue) as service, ExitStack() as connections:

        def ask(count: int) -> None:
            connection = connections.enter_context(service.raw_connection())
            connection.sendall(unseen(count))

        def wait_for(figure: str) -> None:
            deadline = time.monotonic() + STOP_SECONDS
            while not re.search(figure, service.client.get("/metrics").text):
                assert time.monotonic() < deadline

        ask(20_000)  # so many batches before those that follow
        wait_for(r"understudy_queue_nodes [1-9]")
        for _ in range(4):
            ask(1)
        wait_for(r"understudy_running_requests 6\.0")
        for _ in range(15):
            with service.raw_connection() as connection:
                connection.sendall(unseen(1))
                answer = received(connection)
            assert answer.startswith(b"HTTP/1.1 429 ")
            assert b"\r\nretry-after: " in answer
        look_up = {"nodes": [{"id": "node-1"}]}
        assert httpx.post(f"{service.url}/classify", json=look_up).status_code == 200
