"""Retraining while it is served: the graph goes out, a new model comes in, and changes go on."""

import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import httpx
import pytest

from service.http.access import Role, add_key
from tests.e2e.conftest import JSON, serving
from understudy.bundle import open_bundle
from understudy.cli import main
from understudy.engine import Engine
from understudy.graph import load_graph

SMALL = ("--encoder", "hashing", "--layers", "1", "--hidden", "8", "--epochs", "3")


def run(*words: object) -> None:
    """A command of the command line."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == 0


@dataclass
class Changing:
    """A client that changes the graph, one node after the other, and reads in between."""

    url: str
    key: str
    versions: list[int] = field(default_factory=list)  # as the answers told them, in order
    changes: list[str] = field(default_factory=list)
    ended: Event = field(default_factory=Event)
    begun: Event = field(default_factory=Event)

    def go_on(self) -> None:
        headers = {**JSON, "authorization": f"Bearer {self.key}"}
        with httpx.Client(base_url=self.url, headers=headers, timeout=60) as client:
            while not self.ended.wait(0.02):
                name = f"new-{len(self.changes)}"
                node = {"text": f"a new word {secrets.token_hex(4)}", "neighbors": ["node-0"]}
                told = client.put(f"/nodes/{name}", json=node)
                assert told.status_code == 200, told.text
                self.changes.append(name)
                asked = [{"id": name}, {"text": "another text", "neighbors": [name]}]
                answer = client.post("/classify", json={"nodes": asked})
                assert answer.status_code == 200, answer.text
                assert [p["error"] for p in answer.json()["predictions"]] == [None, None]
                self.versions += [told.json()["graph_version"], answer.json()["graph_version"]]
                self.begun.set()


@contextmanager
def changing(url: str, key: str) -> Iterator[Changing]:
    """Goes on until the block ends."""
    client = Changing(url, key)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(client.go_on)
        try:
            assert client.begun.wait(60) or running.result(0)
            yield client
        finally:
            client.ended.set()
        running.result(60)


def test_a_model_is_trained_anew_and_served_while_changes_go_on(tmp_path: Path) -> None:
    graph, student, bundle = tmp_path / "graph", tmp_path / "student", tmp_path / "bundle"
    data, again, other = tmp_path / "data", tmp_path / "again", tmp_path / "other"
    run("data", "synthetic", graph, "--nodes", 120, "--classes", 3)
    run("distill", graph, student, *SMALL)
    run("export", student, bundle)
    keys = tmp_path / "keys.json"
    key, read_key = add_key(keys, "all", Role.admin), add_key(keys, "reader", Role.read)
    flags = ("--data-folder", str(data), "--keys-file", str(keys))
    with serving(bundle, *flags) as service:
        admin = {"authorization": f"Bearer {key}"}
        before = service.client.get("/info", headers=admin).json()
        with changing(service.url, key) as client:
            run("data", "from-service", service.url, again, "--api-key", read_key)
            run("distill", again, tmp_path / "student-2", *SMALL, "--seed", 1)
            run("export", tmp_path / "student-2", bundle)
            reloaded = service.client.post("/admin/reload", headers=admin)
            assert reloaded.status_code == 200, reloaded.text
        after = service.client.get("/info", headers=admin).json()
        assert client.versions == sorted(client.versions)
        assert after["graph_version"] == len(client.changes) == client.versions[-1]
        assert after["model_version"] == open_bundle(bundle).manifest.version
        assert after["model_version"] != before["model_version"]
        assert after["graph"]["lineage"] == before["graph"]["lineage"]
        position = after["graph"]["position"]
        assert 0 < position < after["graph_version"]
        trained = json.loads((tmp_path / "student-2" / "config.json").read_text())
        assert trained["lineage"] == {"id": after["graph"]["lineage"], "position": position}
        for name in client.changes:
            assert service.client.get(f"/nodes/{name}", headers=admin).status_code == 200
        run("data", "from-service", service.url, again, "--api-key", read_key)
        run("data", "from-service", data, other)
    served, kept, first = load_graph(again), load_graph(other), load_graph(graph)
    assert served.content_hash == kept.content_hash
    assert served.lineage == kept.lineage
    assert served.num_nodes == first.num_nodes + len(client.changes)
    assert {name: len(members) for name, members in served.splits.items()} == {
        name: len(members) for name, members in first.splits.items()
    }
    with Engine.open(bundle, data=data) as engine:  # as after a restart
        assert engine.state.version == after["graph_version"]
        assert engine.model_version == after["model_version"]
