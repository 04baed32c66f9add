"""Several workers on one port are one service, whatever happens to one of them."""

import json
import os
import select
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton  # type: ignore[import-untyped]

from service.http.access import Role, add_key
from tests.bundles import NODES, tiny_graph, write_tiny_bundle
from tests.openai_server import openai_server
from tests.workers import CONNECTIONS, Workers, until, workers
from understudy.cli import main
from understudy.engine import Engine
from understudy.graph.lineage import lineage_of

CLASSIFY = {"nodes": [{"id": "node-1"}]}
CLASSIFIED = 'understudy_requests_total{operation="classify",status="200"}'
END_SECONDS = 60.0
TOOL_CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "neighbors", "arguments": {"id": "said"}},
}
MCP_HEADERS = {
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2025-06-18",
}
ALONE = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own
OTHER_LABELS = ("one", "two", "three", "four")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("workers") / "bundle").folder


@pytest.fixture(scope="module")
def service(bundle: Path) -> Iterator[Workers]:
    """Without a data folder; the tests are in the order of its life: a reload is first."""
    with workers(bundle, "--grpc-port", "0", "--mcp") as service:
        yield service


def test_both_answer_and_one_scrape_counts_all(service: Workers) -> None:
    before = service.scrape()
    assert before["understudy_workers"] == 2
    with service.clients() as clients:
        for client in clients:
            client.post("/classify", json=CLASSIFY).raise_for_status()
        after = service.scrape()
    assert after[CLASSIFIED] - before.get(CLASSIFIED, 0) == CONNECTIONS
    shares = [after[f'understudy_worker_open_connections{{worker="{n}"}}'] for n in (1, 2)]
    assert min(shares) > 0
    assert sum(shares) == after["understudy_open_connections"] == CONNECTIONS + 1
    for number in (1, 2):
        assert after[f'process_resident_memory_bytes{{worker="{number}"}}'] > 0


def test_a_reload_through_one_reaches_all(service: Workers, bundle: Path) -> None:
    with service.clients() as clients:
        (before,) = {client.get("/info").json()["model_version"] for client in clients}
        other = replace(tiny_graph(OTHER_LABELS), lineage=lineage_of(tiny_graph()))
        write_tiny_bundle(bundle, graph=other)
        reloaded = clients[0].post("/admin/reload").raise_for_status().json()
        assert reloaded["previous_version"] == before
        for client in clients:
            assert client.get("/info").json()["model_version"] == reloaded["model_version"]
            answer = client.post("/classify", json=CLASSIFY).json()
            assert answer["predictions"][0]["label"] in OTHER_LABELS
    assert service.scrape()['understudy_reloads_total{outcome="done"}'] == 2


def test_a_change_through_one_is_seen_by_all(service: Workers) -> None:
    with service.clients() as clients:
        assert clients[0].get("/info").json()["durable"] is False
        clients[0].put("/nodes/mine", json={"text": "json"}).raise_for_status()
        for client in clients:
            assert until(client, "/nodes/mine", 200)["id"] == "mine"
        clients[1].post("/admin/reload").raise_for_status()  # of a bundle without that node
        for number, client in enumerate(clients):
            assert client.get("/nodes/mine").status_code == 200
            client.put(f"/nodes/mine-{number}", json={"text": "json"}).raise_for_status()


def test_a_key_is_the_same_change_s_through_every_worker(service: Workers) -> None:
    key = {"idempotency-key": "one"}
    change, other = (
        {"mutations": [{"kind": "upsert_node", "id": "keyed", "text": text}]}
        for text in ("json", "http")
    )
    with service.clients() as clients:
        first = clients[0].post("/mutations", json=change, headers=key).raise_for_status().json()
        for client in clients:
            again = client.post("/mutations", json=change, headers=key).raise_for_status().json()
            assert again == {**first, "repeated": True}
            refused = client.post("/mutations", json=other, headers=key)
            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "key_reused")
            assert until(client, "/nodes/keyed", 200)["text"] == "json"


def test_a_change_through_one_is_read_through_all_on_every_wire(service: Workers) -> None:
    address = service.grpc_address()
    with service.clients() as clients:
        response = clients[0].put("/nodes/said", json={"text": "json", "neighbors": ["node-1"]})
        version = {"x-min-graph-version": str(response.raise_for_status().json()["graph_version"])}
        expected = clients[0].post("/classify", json={"nodes": [{"id": "said"}]}).json()
        label = expected["predictions"][0]["label"]
        for client in clients:
            answer = client.post("/mcp", json=TOOL_CALL, headers=version | MCP_HEADERS)
            found = answer.raise_for_status().json()["result"]["structuredContent"]
            assert (found["id"], found["label"]) == ("said", label)
    for _ in range(CONNECTIONS):  # each of them new
        with triton.InferenceServerClient(address, channel_args=ALONE) as asking:
            named = triton.InferInput("id", [1], "BYTES")
            named.set_data_from_numpy(np.array(["said"], dtype=np.object_))
            answer = asking.infer("tiny-hashing", [named], headers=version)
            assert answer.as_numpy("label")[0].decode() == label
    figures = service.scrape()
    assert figures['understudy_requests_total{operation="oip_infer",status="200"}'] == CONNECTIONS
    assert figures['understudy_requests_total{operation="mcp",status="200"}'] == CONNECTIONS


def test_a_killed_worker_is_replaced_while_the_other_goes_on(service: Workers) -> None:
    with service.clients() as clients:
        clients[0].put("/nodes/kept", json={"text": "json"}).raise_for_status()
        clients[0].post("/classify", json=CLASSIFY).raise_for_status()
        before = service.scrape()
    victim, other = service.children
    victim.kill()
    with service.clients() as clients:
        for client in clients:
            client.post("/classify", json=CLASSIFY).raise_for_status()
    service.line("serves")
    with service.clients() as clients:
        assert len({*psutil.Process(service.process.pid).children()} - {other}) == 1
        for client in clients:  # it has the changes that were made before
            assert client.get("/nodes/kept").status_code == 200
        after = service.scrape()
    assert after["understudy_worker_restarts_total"] == 1
    assert after["understudy_workers"] == 2
    assert min(after[f'understudy_worker_open_connections{{worker="{n}"}}'] for n in (1, 2)) > 0
    assert after[CLASSIFIED] == before[CLASSIFIED] + CONNECTIONS  # what the dead one counted stays


def test_sighup_is_a_reload_of_all(service: Workers) -> None:
    with service.clients(1) as (client,):
        client.put("/nodes/another", json={"text": "json"}).raise_for_status()
    service.process.send_signal(signal.SIGHUP)
    assert service.line("all workers now serve")
    with service.clients() as clients:
        for client in clients:
            assert until(client, "/nodes/another", 200)["id"] == "another"


def test_sigterm_ends_all_with_their_answers_given(service: Workers) -> None:
    children = psutil.Process(service.process.pid).children()
    log = service.end()
    assert service.process.returncode == 0
    assert '"level": "error"' not in log
    assert all(ends(child) for child in children)


def test_workers_end_with_their_supervisor_and_a_backup_was_made_meanwhile(
    bundle: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with workers(bundle, "--data-folder", str(data)) as service:
        with service.clients() as clients:
            assert clients[0].get("/info").json()["durable"] is True
            clients[0].put("/nodes/mine", json={"text": "json"}).raise_for_status()
            main_returns("backup", data, tmp_path / "backup")
            clients[0].put("/nodes/later", json={"text": "json"}).raise_for_status()
        service.process.kill()
        assert service.rest().count("the supervisor has ended") == 2
        assert all(ends(child) for child in service.children)
    main_returns("restore", tmp_path / "backup", tmp_path / "restored")
    with Engine.open(bundle, data=tmp_path / "restored") as engine:
        assert engine.state.rows(["mine", "later"]).tolist() == [NODES, -1]


def test_a_worker_that_takes_a_place_knows_the_keys_that_the_service_was_started_with(
    bundle: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    secret = add_key(keys, "started with", Role.read)
    with workers(bundle, "--keys-file", str(keys)) as service:
        keys.unlink()
        add_key(keys, "for the next start", Role.read)
        service.children[0].kill()
        service.line("serves")
        with service.clients() as clients:
            for client in clients:
                answer = client.get("/info", headers={"authorization": f"Bearer {secret}"})
                assert answer.status_code == 200
        keys.write_text("no keys")
        service.children[1].kill()
        service.line("serves")


def test_a_worker_that_takes_a_place_describes_the_labels_as_the_others_do(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle", label_names=OTHER_LABELS).folder
    lines = tmp_path / "labels.json"
    lines.write_text('{"one": "about single things"}')
    with openai_server(lambda _: "one") as teacher:
        options = "--teacher-url", teacher.url, "--teacher-label-descriptions", str(lines)
        with workers(bundle, *options) as service:

            def ask(words: str) -> list[str]:
                """All that the teacher is told, through every worker."""
                teacher.requests.clear()
                with service.clients() as clients:
                    for number, client in enumerate(clients):
                        asked = {"nodes": [{"text": f"{words} {number}"}], "route": "teacher"}
                        client.post("/classify", json=asked).raise_for_status()
                assert len(teacher.requests) == CONNECTIONS
                return [json.dumps(request) for request in teacher.requests]

            assert all("about single things" in prompt for prompt in ask("before"))
            lines.write_text('{"one": "about whatever is alone"}')
            service.children[0].kill()
            service.line("or different label descriptions")
            service.line("all workers now serve")
            service.line("worker 1 serves")
            assert all("about whatever is alone" in prompt for prompt in ask("after"))


def main_returns(*words: object) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, words)))
    assert ended.value.code == 0


def ends(process: psutil.Process) -> bool:
    """Waits for a process's end, which only its parent could wait for otherwise."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], END_SECONDS)[0])
    finally:
        os.close(descriptor)


def test_a_bundle_that_no_worker_can_serve_is_one_line(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "bundle").folder
    os.truncate(folder / "graph" / "indices.npy", 20)
    with workers(folder, "--log-level", "error", "--log-format", "text") as service:
        log = service.rest()
        assert service.process.wait() == 1
    *_, last = log.strip().splitlines()
    assert last.startswith("error: worker")
    assert "indices.npy" in last
    assert "Traceback" not in log
