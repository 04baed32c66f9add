"""Retraining during service: export of the graph, a new model, and changes meanwhile."""

import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import numpy as np
import pytest

from service.http.access import Role, add_key
from tests.bundles import LABELS, NODES, tiny_graph, write_tiny_bundle
from tests.e2e.conftest import JSON, serving
from tests.openai_server import openai_server
from tests.unit.retraining.test_refreshing import CONFIG
from understudy.bundle import open_bundle
from understudy.cli import main
from understudy.engine import Engine
from understudy.graph import load_graph
from understudy.graph.mutations import UpsertNode
from understudy.retraining.errors import RefreshError, WorseModelError
from understudy.retraining.options import RefreshOptions
from understudy.retraining.refreshing import Refresh

SMALL = ("--encoder", "hashing", "--layers", "1", "--hidden", "8", "--epochs", "3")


def run(*words: object, status: int = 0) -> None:
    """A command of the command line."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == status


def here(*words: object) -> int:
    """A command of the command line, in this process, which has loaded torch already."""
    run(*words)
    return 0


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
            while not self.ended.wait(0.2):
                name = f"new-{len(self.changes)}"
                node = {"text": f"a new word {secrets.token_hex(4)}", "neighbors": ["node-0"]}
                response = client.put(f"/nodes/{name}", json=node)
                assert response.status_code == 200, response.text
                self.changes.append(name)
                asked = [{"id": name}, {"text": "another text", "neighbors": [name]}]
                answer = client.post("/classify", json={"nodes": asked})
                assert answer.status_code == 200, answer.text
                assert [p["error"] for p in answer.json()["predictions"]] == [None, None]
                self.versions += [response.json()["graph_version"], answer.json()["graph_version"]]
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


def test_a_model_is_refreshed_while_changes_go_on_and_a_worse_one_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    graph, student, bundle = tmp_path / "graph", tmp_path / "student", tmp_path / "bundle"
    data, work, untrained = tmp_path / "data", tmp_path / "work", tmp_path / "untrained"
    run("data", "synthetic", graph, "--nodes", 120, "--classes", 3, "--text-signal", 0.9)
    run("distill", graph, student, *SMALL)
    run("distill", graph, untrained, *SMALL, "--learning-rate", 0, "--weight-decay", 0)
    run("export", student, bundle)
    keys = tmp_path / "keys.json"
    key = add_key(keys, "all", Role.admin)
    flags = ("--data-folder", str(data), "--keys-file", str(keys))
    first = open_bundle(bundle).manifest.version
    with serving(bundle, *flags) as service:
        admin = {"authorization": f"Bearer {key}"}
        refresh = ("refresh", service.url, bundle, work, "--api-key", key)
        run("refresh", data, bundle, work, "--student", student)
        assert "the graph has not changed" in capfd.readouterr().out
        before = service.client.get("/info", headers=admin).json()
        label = before["labels"][0]
        with changing(service.url, key) as client:
            labelled = {"text": "a labelled word", "label": label, "neighbors": ["node-0"]}
            assert service.client.put("/nodes/known", json=labelled, headers=admin).is_success
            lines: list[str] = []
            options = RefreshOptions(service.url, bundle, work, untrained, tolerance=0, key=key)
            with pytest.raises(WorseModelError, match="the served model stays"):
                Refresh(options, lines.append, here).run()
            assert "labels: 1 labelled node that was in no split was added to train" in lines
            better = (*refresh, "--student", student, "--epochs", 40)
            run(*better, "--no-reload")
            assert open_bundle(bundle).manifest.version == first
            assert service.client.get("/info", headers=admin).json()["model_version"] == first
            run(*better)
            captured = capfd.readouterr()
            assert "resuming the earlier run; done: graph, student, bundle, gate" in captured.out
        after = service.client.get("/info", headers=admin).json()
        check_served_anew(before, after, client, bundle, work)
        for name in ("known", *client.changes):
            assert service.client.get(f"/nodes/{name}", headers=admin).status_code == 200
        again, other = tmp_path / "again", tmp_path / "other"
        run("data", "from-service", service.url, again, "--api-key", key)
        run("data", "from-service", data, other)
    served, kept, imported = load_graph(again), load_graph(other), load_graph(graph)
    assert served.lineage == kept.lineage
    assert served.num_nodes == imported.num_nodes + len(client.changes) + 1
    assert len(served.splits["train"]) == len(imported.splits["train"]) + 1
    assert len(served.splits["val"]) == len(imported.splits["val"])
    with Engine.open(bundle, data=data) as engine:  # as after a restart
        assert engine.state.version == after["graph_version"]
        assert engine.model_version == after["model_version"]


def test_a_budget_is_spent_on_what_the_served_model_is_unsure_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))  # answers are kept there
    rows = np.arange(NODES)
    splits = {"train": rows[:10], "val": rows[10:14], "test": rows[14:]}
    folder = write_tiny_bundle(tmp_path / "b", graph=replace(tiny_graph(), splits=splits)).folder
    student, work = tmp_path / "student", tmp_path / "work"
    student.mkdir()
    config = {"format_version": 3, "graph_hash": "", "graph_path": "", "encoder": {}}
    (student / "config.json").write_text(json.dumps(CONFIG | config))
    with Engine.open(folder, data=tmp_path / "data") as engine:
        engine.apply([UpsertNode("new", "json atom")])

    def taught(*words: object) -> int:
        return here(*words) if words[0] == "teach" else 143

    with openai_server(lambda _: LABELS[0]) as server:
        teacher = f"openai:{server.url}#any"
        options = RefreshOptions(str(tmp_path / "data"), folder, work, student, teacher, budget=10)
        with pytest.raises(RefreshError, match="ended with status 143"):
            Refresh(options, print, taught).run()
        asked = [request["messages"][-1]["content"] for request in server.requests]
    assert len(asked) <= 10 + len(("json_schema", "choice", "grammar"))  # what it can, is tried
    doubts: dict[str, float] = json.loads((work / "hard.json").read_text())
    graph = load_graph(work / "graph")
    test = set(graph.splits["test"].tolist())
    unsure = sorted(test, key=lambda row: doubts[graph.ids[row].as_py()])
    hardest = graph.texts[unsure[-1]].as_py()
    assert any(hardest in prompt for prompt in asked)


def check_served_anew(
    before: dict[str, Any], after: dict[str, Any], client: "Changing", bundle: Path, work: Path
) -> None:
    """Sees that the new model is served, on a graph that has lost nothing."""
    assert client.versions == sorted(client.versions)
    assert after["graph_version"] == len(client.changes) + 1
    assert after["model_version"] == open_bundle(bundle).manifest.version
    assert after["model_version"] != before["model_version"]
    assert after["graph"]["lineage"] == before["graph"]["lineage"]
    position = after["graph"]["position"]
    assert 0 < position < after["graph_version"]
    lineage = {"id": after["graph"]["lineage"], "position": position}
    assert json.loads((work / "student" / "config.json").read_text())["lineage"] == lineage
    last = json.loads((work / "refresh.json").read_text())
    assert last["ended"]
    assert last["found"] >= last["served"]
    assert open_bundle(work / "previous").manifest.version == before["model_version"]
