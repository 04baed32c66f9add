"""A random walk through a real service's routes, beside the same graph in plain dictionaries.

After every step the service answers as PyG computes it on that graph from nothing: for stored and
unseen nodes, explanations, vectors and listings; across batches, refusals, kills and reloads.

UNDERSTUDY_TEST_WALKS says how many walks to take with each pair of students.
"""

import math
import os
import random
import shutil
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import torch

from tests.e2e.conftest import serving
from tests.student_bundles import WORDS, Array, StudentBundle, hub_graph, write_student_bundle
from tests.students import small_student
from training.config import StudentKind
from training.data import Edges, adjacency_matrix, edges
from training.encoders.features import graph_features, hashing_spec
from understudy.graph import Adjacency, TextGraph, build_adjacency, string_array

WALKS = int(os.environ.get("UNDERSTUDY_TEST_WALKS", "1"))
FIRST = int(os.environ.get("UNDERSTUDY_TEST_FIRST_WALK", "1"))
STEPS = int(os.environ.get("UNDERSTUDY_TEST_STEPS", "10"))
TOLERANCE = 2e-4
NODES = 60
NAMES = ("plain", "with space", "a/b", "ünder", "n1/neighbors", "%2F", "x?y#z", "日本", "..")
KINDS = ["upsert_node"] * 3 + ["delete_node"] + ["add_edge"] * 4 + ["remove_edge"]
Made = list[dict[str, str]]


class Plain:
    """The graph that the service should have."""

    def __init__(self, graph: TextGraph) -> None:
        ids = graph.ids.to_pylist()
        self.texts: dict[str, str] = dict(zip(ids, graph.texts.to_pylist(), strict=True))
        names = [graph.label_names[label] for label in graph.labels.tolist()]
        self.labels: dict[str, str | None] = dict(zip(ids, names, strict=True))
        pairs = graph.adjacency.edges().tolist()
        self.edges = {frozenset((ids[a], ids[b])) for a, b in pairs}

    def copy(self) -> "Plain":
        other = Plain.__new__(Plain)
        other.texts, other.labels, other.edges = dict(self.texts), dict(self.labels), {*self.edges}
        return other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def make(self, change: dict[str, str]) -> None:
        """Makes one change; raises LookupError where it must be refused."""
        kind, ends = change["kind"], [change.get("source", ""), change.get("target", "")]
        if kind == "upsert_node":
            name = change["id"]
            if "text" not in change and name not in self.texts:
                raise LookupError
            self.texts[name] = change.get("text", self.texts.get(name, ""))
            self.labels[name] = change.get("label", self.labels.get(name))
        elif kind == "delete_node":
            del self.texts[change["id"]], self.labels[change["id"]]
            self.edges = {edge for edge in self.edges if change["id"] not in edge}
        elif ends[0] == ends[1] or not all(end in self.texts for end in ends):
            raise LookupError
        elif kind == "add_edge":
            self.edges.add(frozenset(ends))
        else:
            self.edges.remove(frozenset(ends))

    def neighbors(self, name: str) -> list[str]:
        return sorted(other for edge in self.edges if name in edge for other in edge - {name})


class Walk:
    """One service, started again and again on one data folder, and what it must answer."""

    def __init__(self, bundles: Sequence[StudentBundle], folder: Path, seed: int) -> None:
        self.bundles, self.served = bundles, 0
        self.folder, self.data = folder / "bundle", folder / "data"
        self.random = random.Random(seed)
        self.workers = self.random.random() < 0.3
        self.graph = Plain(bundles[0].graph)
        self.version, self.kept = 0, dict[str, tuple[Made, int]]()
        self.taken: list[object] = []  # what failed, when it fails
        self.stack = ExitStack()
        self.place(0)

    def place(self, number: int) -> None:
        """Puts a bundle into the folder that is served."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.bundles[number].folder, self.folder)
        self.served = number

    def start(self) -> None:
        flags = ["--data-folder", str(self.data)] + ["--workers", "2"] * self.workers
        self.service = self.stack.enter_context(serving(self.folder, *flags))
        self.service.client.headers["x-min-graph-version"] = str(self.version)

    # What is asked for.

    def pick(self) -> str:
        if not self.graph.texts or self.random.random() < 0.03:
            return "nobody"
        return self.random.choice(sorted(self.graph.texts))

    def text(self) -> str:
        words = self.random.choices(WORDS, k=self.random.randint(1, 5))
        return self.random.choice((" ", "\n", "  ")).join(words)

    def name(self) -> str:
        return f"{self.random.choice(NAMES)}{self.random.randint(0, 3)}"

    def change(self) -> dict[str, str]:
        kind = self.random.choice(KINDS)
        if kind == "upsert_node":
            made = {"kind": kind, "id": self.random.choice((self.name(), self.pick()))}
            if self.random.random() < 0.8:
                made["text"] = self.text()
            if self.random.random() < 0.4:
                made["label"] = self.random.choice("abc")
            return made
        if kind == "delete_node":
            return {"kind": kind, "id": self.pick()}
        if kind == "remove_edge" and self.graph.edges:
            source, target = self.random.choice(sorted(map(sorted, self.graph.edges)))
            return {"kind": "remove_edge", "source": source, "target": target}
        return {"kind": "add_edge", "source": self.pick(), "target": self.pick()}

    # Steps.

    def step(self) -> None:
        steps = (
            [self.one] * 6 + [self.batch] * 4 + [self.again, self.kill, self.reload, self.replace]
        )
        self.random.choice(steps)()

    def one(self) -> None:
        """A change by the route of its own."""
        made = [self.change()]
        first, client = made[0], self.service.client
        kind, path = first["kind"], f"/nodes/{quote(first.get('id', ''), safe='')}"
        if kind == "upsert_node":
            body: dict[str, Any] = {
                name: first[name] for name in ("text", "label") if name in first
            }
            near = [self.pick() for _ in range(self.random.randint(0, 3))]
            body["neighbors"] = near
            ends = [{"source": first["id"], "target": other} for other in near]
            made += [{"kind": "add_edge", **pair} for pair in ends]
            self.follow(made, client.put(path, json=body))
        elif kind == "delete_node":
            self.follow(made, client.delete(path))
        else:
            ends_ = {name: first[name] for name in ("source", "target")}
            method = "POST" if kind == "add_edge" else "DELETE"
            self.follow(made, client.request(method, "/edges", json=ends_))

    def batch(self) -> None:
        made = [self.change() for _ in range(self.random.randint(1, 8))]
        key = f"key-{len(self.kept)}"
        answer = self.service.client.post(
            "/mutations", json={"mutations": made}, headers={"idempotency-key": key}
        )
        if self.follow(made, answer):
            self.kept[key] = (made, self.version)

    def again(self) -> None:
        """A client that lost its answer."""
        if self.kept:
            key = self.random.choice(sorted(self.kept))
            made, version = self.kept[key]
            answer = self.service.client.post(
                "/mutations", json={"mutations": made}, headers={"idempotency-key": key}
            )
            self.taken.append((key, answer.text))
            assert answer.json() == {"graph_version": version, "repeated": True}

    def follow(self, made: Made, answer: Any) -> bool:
        self.taken.append((made, answer.status_code, answer.text))
        graph = self.graph.copy()
        try:
            for change in made:
                graph.make(change)
        except LookupError:
            assert answer.status_code in (404, 422)
            assert answer.json()["error"]["message"]
            return False
        assert answer.status_code == 200
        version = answer.json()["graph_version"]
        assert self.version + (graph != self.graph) <= version <= self.version + 1
        self.graph, self.version = graph, version
        self.service.client.headers["x-min-graph-version"] = str(version)
        return True

    def kill(self) -> None:
        self.taken.append("kill")
        self.service.process.send_signal(signal.SIGKILL)
        self.service.process.wait()
        self.start()

    def reload(self) -> None:
        """Another model for the same graph, while it is served."""
        self.place(1 - self.served)
        answer = self.service.client.post("/admin/reload")
        self.taken.append(("reload", answer.status_code, answer.text))
        assert answer.status_code == 200

    def replace(self) -> None:
        """Another model for the same graph, by a restart."""
        self.taken.append("replace")
        self.stack.close()
        self.place(1 - self.served)
        self.start()

    # What it must answer.

    def compare(self) -> None:
        client, graph, ids = self.service.client, self.graph, sorted(self.graph.texts)
        info = client.get("/info").json()
        assert info["graph_version"] == self.version
        listed = self.pages()
        assert [(n["id"], n["text"], n["label"]) for n in listed] == [
            (name, graph.texts[name], graph.labels[name]) for name in ids
        ]
        assert [n["degree"] for n in listed] == [len(graph.neighbors(name)) for name in ids]
        if not ids:
            return
        for name in {self.pick() for _ in range(3)}:
            answer = client.get(f"/nodes/{quote(name, safe='')}/neighbors")
            if name in graph.texts:
                assert sorted(answer.json()["neighbors"]) == graph.neighbors(name)
            else:
                assert answer.status_code == 404
        unseen = [
            {"text": self.text(), "neighbors": self.random.sample(ids, min(len(ids), count))}
            for count in (0, 1, 4)
        ]
        logits, hidden = self.expected(ids, unseen)
        asked = [{"id": name} for name in ids] + unseen
        self.compare_predictions(asked, logits)
        self.compare_vectors(ids, asked, hidden, logits)
        self.compare_explanation(ids, unseen[2], logits)

    def compare_predictions(self, asked: list[dict[str, Any]], logits: Array) -> None:
        answer = self.service.classify(*asked, top_k=3).json()
        assert answer["graph_version"] == self.version
        for row, found in zip(logits, answer["predictions"], strict=True):
            scores = np.exp(row.astype(np.float64) - np.logaddexp.reduce(row))
            told = {entry["label"]: entry["score"] for entry in found["top"]}
            np.testing.assert_allclose([told[name] for name in "abc"], scores, atol=TOLERANCE)
            assert found["score"] == found["top"][0]["score"] == max(told.values())

    def compare_vectors(
        self, ids: list[str], asked: list[dict[str, Any]], hidden: Array, logits: Array
    ) -> None:
        client = self.service.client
        answer = client.post("/v1/embeddings", json={"input": asked})
        found = np.array([entry["embedding"] for entry in answer.json()["data"]])
        np.testing.assert_allclose(found, hidden, rtol=TOLERANCE, atol=TOLERANCE)
        center = self.random.randrange(len(ids))
        path = f"/nodes/{quote(ids[center], safe='')}/similar"
        near = client.get(path, params={"k": 5}).json()["similar"]
        stored = hidden[: len(ids)] / np.linalg.norm(hidden[: len(ids)], axis=1, keepdims=True)
        cosines = np.delete(stored @ stored[center], center)
        best = np.sort(cosines)[::-1][: len(near)]
        assert len(near) == min(5, len(ids) - 1)
        told = [entry["similarity"] for entry in near]
        np.testing.assert_allclose(told, best, atol=TOLERANCE)
        around = client.post("/surroundings", json={"id": ids[center], "limit": 400}).json()
        shown = {entry["id"] for entry in around["nodes"]}
        assert shown == {ids[center], *self.graph.neighbors(ids[center])}
        inside = {edge for edge in self.graph.edges if edge <= shown}
        assert {frozenset(pair) for pair in around["edges"]} == inside

    def compare_explanation(self, ids: list[str], unseen: dict[str, Any], logits: Array) -> None:
        name = self.random.choice(ids)
        nodes = [{"id": name}, unseen]
        answer = self.service.classify(*nodes, explain=True).json()["predictions"]
        asked = [{"text": self.graph.texts[name], "neighbors": self.graph.neighbors(name)}, unseen]
        for whole, node, found in zip((ids.index(name), -1), asked, answer, strict=True):
            told = found["explanation"]
            label = "abc".index(told["label"])
            own = odds(logits[whole], label)
            assert math.isclose(told["log_odds"], own, abs_tol=1e-3)
            tried = told["neighbors"][:2]
            assert len(told["neighbors"]) + told["untried_neighbors"] == len(node["neighbors"])
            without = [
                {**node, "neighbors": [n for n in node["neighbors"] if n != one["id"]]}
                for one in tried
            ]
            lacking, _ = self.expected(ids, without)
            for one, row in zip(tried, lacking[len(ids) :], strict=True):
                assert math.isclose(one["log_odds"], own - odds(row, label), abs_tol=2e-3)

    def pages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after: str | None = ""
        limit = self.random.choice((7, 1_000))
        while after is not None:
            page = self.service.client.get("/nodes", params={"after": after, "limit": limit}).json()
            found += page["nodes"]
            after = page["next"]
        return found

    def expected(self, ids: list[str], unseen: list[dict[str, Any]]) -> tuple[Array, Array]:
        """Logits and last hidden states: of the stored nodes, whom no unseen one writes to."""
        bundle, rows = self.bundles[self.served], {name: row for row, name in enumerate(ids)}
        pairs = [[rows[name] for name in sorted(edge)] for edge in self.graph.edges]
        stored = build_adjacency(len(ids), np.array(pairs, np.int64).reshape(-1, 2))[0]
        lists = [stored.neighbors(row) for row in range(len(ids))]
        lists += [np.sort([rows[name] for name in node["neighbors"]]) for node in unseen]
        ends = np.cumsum([0, *map(len, lists)])
        indices = np.concatenate(lists).astype(stored.indices.dtype)
        directed = Adjacency(ends.astype(stored.indptr.dtype), indices)
        texts = [self.graph.texts[name] for name in ids] + [node["text"] for node in unseen]
        whole = TextGraph(
            name="walk",
            ids=string_array(str(row) for row in range(len(texts))),
            texts=string_array(texts),
            labels=np.zeros(len(texts), np.int64),
            label_names=("a", "b", "c"),
            adjacency=build_adjacency(len(texts), np.array([], np.int64).reshape(-1, 2))[0],
            splits={},
        )
        features = graph_features(whole, hashing_spec(bundle.hashing))
        symmetric = edges(directed)
        one_way = Edges(adjacency_matrix(directed), symmetric.make_normalized, symmetric=False)
        with torch.inference_mode():
            output = bundle.student(features, one_way)
        return output.logits.numpy(), output.hidden[-2].numpy()


def odds(logits: Array, label: int) -> float:
    """The log-odds of a label."""
    others = np.delete(logits.astype(np.float64), label)
    return float(logits[label] - np.logaddexp.reduce(others))


@pytest.fixture(scope="module")
def bundles(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[StudentBundle]:
    """Two models of one graph."""
    kinds: tuple[StudentKind, StudentKind] = request.param
    folder, graph = tmp_path_factory.mktemp("walk"), hub_graph(NODES)
    return [write_student_bundle(folder / kind, graph, small_student(kind)) for kind in kinds]


@pytest.mark.parametrize("bundles", [("sage", "gcn"), ("gat", "gin")], indirect=True, ids="-".join)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + WALKS))
def test_a_walk_of_changes_gives_what_pyg_computes(
    bundles: list[StudentBundle], tmp_path: Path, seed: int
) -> None:
    walk = Walk(bundles, tmp_path, seed)
    with walk.stack:
        walk.start()
        try:
            for _ in range(STEPS):
                walk.step()
                walk.compare()
        except Exception as error:
            error.add_note(f"after {walk.taken[-8:]}")
            raise
