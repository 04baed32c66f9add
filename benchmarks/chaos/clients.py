"""Clients that write to and read from services that are being killed, and that record every fault.

Each writer has a pair of nodes and a token. A change gives both nodes of the pair the same new
text, and replaces the token by a new one. So an answer that mixes two versions shows two different
texts, and a change that is applied twice is refused, since its old token is gone.
"""

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any

import httpx

from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, RemoveEdge, UpsertNode

TIMEOUT_SECONDS = 10.0
PAUSE_SECONDS = 0.02
PATIENCE_SECONDS = 180.0  # for one change, over all replicas
PAIR = ("a", "b")
PAGE = 64  # nodes of a page, more than all pairs


@dataclass
class Change:
    """A change that a service acknowledged."""

    key: str
    version: int
    mutations: list[Mutation]


@dataclass
class Ledger:
    """What all clients observed, shared between their threads."""

    changes: list[Change] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    texts: dict[int, tuple[str, ...]] = field(default_factory=dict)  # of the pairs, by version
    lock: Lock = field(default_factory=Lock)

    def fault(self, what: str) -> None:
        with self.lock:
            self.faults.append(what)

    def saw(self, version: int, texts: tuple[str, ...]) -> None:
        """Records the pairs' texts at a version; it is a fault if another answer differed."""
        with self.lock:
            before = self.texts.setdefault(version, texts)
        if before != texts:
            self.fault(f"version {version} was {before} and {texts}")


def mutations_of(writer: int, number: int, base: Sequence[str]) -> list[Mutation]:
    """Makes a writer's change with a number; each one builds on the one before."""
    pair = [f"pair-{writer}-{side}" for side in PAIR]
    mutations: list[Mutation] = [UpsertNode(name, f"state {number}") for name in pair]
    mutations.append(UpsertNode(f"token-{writer}-{number}", f"json parser {number}"))
    near = base[(37 * writer + number) % len(base)]
    mutations.append(AddEdge(f"token-{writer}-{number}", near))
    mutations += [AddEdge(name, near) for name in pair]
    if number:
        before = base[(37 * writer + number - 1) % len(base)]
        mutations += [RemoveEdge(name, before) for name in pair if before != near]
        mutations.append(DeleteNode(f"token-{writer}-{number - 1}"))
    return mutations


def body_of(mutations: Sequence[Mutation]) -> dict[str, Any]:
    kinds = {
        UpsertNode: "upsert_node",
        DeleteNode: "delete_node",
        AddEdge: "add_edge",
        RemoveEdge: "remove_edge",
    }
    entries = []
    for mutation in mutations:
        fields = {name: getattr(mutation, name) for name in mutation.__struct_fields__}
        entries.append({"kind": kinds[type(mutation)], **fields})
    return {"mutations": entries}


class Client:
    """Sends each request to a replica chosen at random."""

    def __init__(self, urls: Sequence[str], ledger: Ledger, seed: int, stop: Event) -> None:
        self.urls = urls
        self.ledger = ledger
        self.random = random.Random(seed)
        self.stop = stop
        self.http = httpx.Client(timeout=TIMEOUT_SECONDS)

    def ask(self, method: str, path: str, kind: str, **options: Any) -> httpx.Response | None:
        """Asks a random replica; returns None if it does not answer."""
        try:
            answer = self.http.request(method, self.random.choice(self.urls) + path, **options)
        except httpx.TransportError:
            self.count(f"{kind}: no answer")
            return None
        self.count(f"{kind}: {answer.status_code}")
        return answer

    def count(self, what: str) -> None:
        with self.ledger.lock:
            self.ledger.answers[what] += 1

    def make(self, key: str, mutations: list[Mutation]) -> int | None:
        """Sends a change to random replicas until one acknowledges it; returns its version."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            headers = {"idempotency-key": key}
            answer = self.ask(
                "POST", "/mutations", "change", json=body_of(mutations), headers=headers
            )
            if answer is not None and answer.status_code == 200:
                return int(answer.json()["graph_version"])
            if answer is not None and answer.status_code not in (429, 503, 504):
                self.ledger.fault(f"{key}: {answer.status_code} {answer.text}")
                return None
            time.sleep(PAUSE_SECONDS)
        self.ledger.fault(f"{key} was not acknowledged in {PATIENCE_SECONDS:g} s")
        return None

    def write(self, writer: int, base: Sequence[str]) -> None:
        """Changes the graph until `stop` is set, and reads every change back from some replica."""
        number, newest = 0, 0
        while not self.stop.is_set():
            mutations, key = mutations_of(writer, number, base), f"key-{writer}-{number}"
            version = self.make(key, mutations)
            if version is None:
                return
            with self.ledger.lock:
                self.ledger.changes.append(Change(key, version, mutations))
            if version <= newest:
                self.ledger.fault(f"{key} is version {version}, the one before {newest}")
            newest = version
            self.read_own(writer, number, version)
            number += 1
            time.sleep(PAUSE_SECONDS)

    def read_own(self, writer: int, number: int, version: int) -> None:
        headers = {"x-min-graph-version": str(version), "x-timeout-seconds": "5"}
        nodes = [{"id": f"token-{writer}-{number}"}, {"id": f"pair-{writer}-a"}]
        answer = self.ask("POST", "/classify", "own read", json={"nodes": nodes}, headers=headers)
        if answer is None or answer.status_code == 503:
            return
        body = answer.json()
        if answer.status_code != 200 or any(p["error"] for p in body["predictions"]):
            self.ledger.fault(f"token-{writer}-{number} cannot be read: {answer.text}")
        elif body["graph_version"] < version:
            self.ledger.fault(f"asked for {version}, answered of {body['graph_version']}")

    def read(self) -> None:
        """Reads all pairs in one answer, again and again, until `stop` is set."""
        query = {"after": "pair-", "limit": PAGE}
        while not self.stop.is_set():
            answer = self.ask("GET", "/nodes", "read", params=query)
            if answer is not None and answer.status_code == 200:
                self.check_page(answer.json())
            elif answer is not None and answer.status_code != 503:
                self.ledger.fault(f"reading: {answer.status_code} {answer.text}")
            time.sleep(PAUSE_SECONDS)

    def check_page(self, page: dict[str, Any]) -> None:
        texts = {n["id"]: n["text"] for n in page["nodes"] if n["id"].startswith("pair-")}
        for name, text in texts.items():
            other = texts.get(name[:-1] + "b")
            if other != text and name.endswith("a"):
                self.ledger.fault(f"{name} is {text!r}, its other half {other!r}")
        page_texts = tuple(f"{name}: {text}" for name, text in sorted(texts.items()))
        self.ledger.saw(page["graph_version"], page_texts)
