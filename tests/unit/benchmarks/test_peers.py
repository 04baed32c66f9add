"""How rivals are asked, selected and reported."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.peers.arguments import LOOPBACK
from benchmarks.peers.compare import choose
from benchmarks.peers.khop import Neighborhoods
from benchmarks.peers.peer import OURS, Peer, find_python, started, wait_for
from benchmarks.peers.report import report
from benchmarks.peers.results import PeersResults, Plan
from benchmarks.peers.rivals import KHOP, MOST_DRAWN, RIVALS, TABLE
from benchmarks.peers.rounds import alternating, one_at_a_time, share
from benchmarks.peers.triton_protocol import triton_body, triton_scores
from benchmarks.serving.questions import Questions
from benchmarks.serving.servers import SERVER_CORE, Served, keep_on
from tests.student_bundles import hub_graph


def test_a_neighborhood_holds_what_its_hops_reach_and_drawn_ones_no_more_than_said() -> None:
    graph = hub_graph(60)
    asked = np.array([3, 59])
    whole = Neighborhoods(graph.adjacency).around(asked, [np.array([5, 7])], 2)
    first = np.unique(np.concatenate([graph.adjacency.neighbors(row) for row in (3, 59)]))
    within_one = {3, 59, 60, 5, 7, *first.tolist()}  # 60 is the unseen node
    assert set(whole.nodes[: whole.counts[1]].tolist()) == within_one
    assert whole.nodes[: whole.counts[0]].tolist() == [3, 59, 60]
    degrees = graph.adjacency.degrees
    assert whole.edges[0] == degrees[3] + degrees[59] + 2
    drawn = Neighborhoods(graph.adjacency, (3, 2)).around(asked, [], 2)
    assert np.bincount(drawn.targets[: drawn.edges[0]]).max() <= 3
    assert np.bincount(drawn.targets).max() <= 3
    assert len(MOST_DRAWN) == 2


def test_an_edge_that_is_asked_for_is_not_there_yet() -> None:
    questions = Questions(hub_graph(60))
    graph = questions.graph
    edges = questions.edges(20)
    row_of = {name: row for row, name in enumerate(graph.ids.to_pylist())}
    for edge in edges:
        source, target = row_of[edge["source"]], row_of[edge["target"]]
        assert source != target
        assert target not in graph.adjacency.neighbors(source)


def test_triton_is_asked_in_its_own_words() -> None:
    tensor = msgspec.json.decode(triton_body([{"id": "a"}], 2))["inputs"][0]
    assert msgspec.json.decode(tensor["data"][0]) == {"nodes": [{"id": "a"}], "top_k": 2}
    answer = {"predictions": [{"top": [{"label": "net", "score": 0.5}]}]}
    body = {"outputs": [{"data": [msgspec.json.encode(answer).decode()]}]}
    assert triton_scores(msgspec.json.encode(body)) == [{"net": 0.5}]


def test_what_an_interpreter_lacks_is_said() -> None:
    rival = Peer("a rival", "", "nowhere", ("nowhere_at_all",))
    with pytest.raises(BenchmarkError, match="No module named 'nowhere_at_all'"):
        find_python(rival, [])
    with pytest.raises(BenchmarkError, match="--python /nowhere cannot be run: No such file"):
        find_python(rival, ["/nowhere"])
    found = find_python(Peer("another", "", "json", ("msgspec",)), [])
    assert found.path == sys.executable
    assert found.packages == {"msgspec": version("msgspec")}
    with pytest.raises(BenchmarkError, match="there is no rival 'Torch'; --rival is of FastAPI"):
        choose(["Torch"])
    assert len({rival.name for rival in RIVALS}) == len(RIVALS) == len(choose([]))


def test_a_report_tells_ratios_aims_and_what_was_missing() -> None:
    def side(rate: float) -> dict[str, Any]:
        return {"per_second": rate, "processor_us": 1e6 / rate, "runs": []}

    def load(ours: float, theirs: float) -> dict[str, Any]:
        ratio = ours / theirs
        both = {"ours": side(ours), "theirs": side(theirs)}
        return {**both, "times_the_rate": ratio, "times_by_processor": ratio}

    times = {"p50": 1.0, "p99": 2.0, "processor_ms": 0.5, "requests": 20}
    khop = {
        "name": KHOP,
        "about": "computed",
        "packages": {"torch": "2"},
        "stored": load(10_000, 250),
        "unseen": {
            "ours": times,
            "theirs": times,
            "times_faster": 1.0,
            "times_apart_from_encoder": 7.25,
            "times_by_processor": 1.0,
        },
        "agreement": {"stored": {"nodes": 24, "same_label": 1.0, "difference": 1e-6}},
    }
    frozen = {"name": TABLE, "about": "a table", "stored": load(10_000, 5_000), "packages": {}}
    missing = {"name": "Another", "about": "", "missing": "no interpreter has what it needs"}
    found = {
        "graph": "kites: 3 nodes",
        "plan": {"rounds": 3, "seconds": 1, "requests": 10, "changes": 2},
        "encoder_ms": 0.25,
        "rivals": [khop, frozen, missing],
    }
    text = report(msgspec.convert(found, PeersResults))
    assert "| FastAPI + PyG | 10,000 | 250 | 40 | 1.00 | 1.00 | 7.25 |  |  |  |" in text
    assert "| Redis table | 10,000 | 5,000 | 2.00 |  |  |  |  |  |  |" in text
    assert "stored nodes at 20 times the rate of FastAPI + PyG: 40" in text
    assert "5 times faster at p50 than FastAPI + PyG: 7.25" in text
    assert "stored nodes within 1.5 times of Redis table: 0.50" in text
    assert "- FastAPI + PyG: computed (torch 2)" in text
    assert "- Another: no interpreter has what it needs" in text
    assert "A change of one edge" not in text  # nobody was measured


def test_a_time_below_the_clocks_tick_gives_no_ratio() -> None:
    assert share(4.0, 2.0) == 2.0
    assert share(4.0, 0.0) is None


class Recording(BaseHTTPRequestHandler):
    """Answers every request, and keeps what was asked."""

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        self.server.asked.append(self.rfile.read(length))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def recording() -> Iterator[tuple[Served, list[bytes]]]:
    server = HTTPServer((LOOPBACK, 0), Recording)
    asked: list[bytes] = []
    server.asked = asked  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Served(f"http://{LOOPBACK}:{server.server_port}", psutil.Process()), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_both_are_asked_the_same_unseen_nodes_in_a_round() -> None:
    questions = Questions(hub_graph(60))
    with recording() as (own, ours), recording() as (other, theirs):
        found = one_at_a_time(own, other, OURS, Plan(2, 1, 10, 1), questions, encoder_ms=0.0)
    assert len(ours) == 3 * 10  # the first round is not told
    assert len(set(ours)) == len(ours)
    assert theirs == ours
    assert found.ours.requests == found.theirs.requests == 2 * 10


def test_each_side_goes_first_in_every_second_round() -> None:
    own, other = Served("ours", psutil.Process()), Served("theirs", psutil.Process())
    asked = []

    def turn(server: Served, _: Peer, number: int) -> str:
        asked.append((number, server.url))
        return f"{server.url} {number}"

    assert alternating(own, other, OURS, 2, turn) == [
        ["ours 1", "ours 2"],
        ["theirs 1", "theirs 2"],
    ]
    assert [url for _, url in asked] == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]


def test_a_server_that_may_start_on_every_core_is_measured_on_one() -> None:
    code = "import threading; threading.Thread(target=input).start(); print(flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        server = Served("", psutil.Process(child.pid))
        keep_on(server, SERVER_CORE)
        threads = server.process.threads()
        assert len(threads) == 2
        assert {frozenset(os.sched_getaffinity(thread.id)) for thread in threads} == {
            frozenset({int(SERVER_CORE)})
        }
        child.communicate("")


SECOND_START = """
import http.server, pathlib, sys
folder, _, port = sys.argv[1:]
print(f"http://127.0.0.1:{port}", flush=True)
again = pathlib.Path(folder) / "again"
if not again.exists():
    again.touch()
    sys.exit("not this time")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
"""


def test_a_rival_may_be_started_again_where_it_says_so(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(SECOND_START)
    folders, log = (tmp_path, tmp_path), tmp_path / "log"
    command = tmp_path / "python"  # runs the program, whatever module it is asked for
    command.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} {program} "$@"\n')
    command.chmod(0o755)
    with (
        pytest.raises(BenchmarkError, match="it ended while it started: not this time"),
        started(Peer("once", "", "-", ()), str(command), folders, log, {"id": "a"}),
    ):
        raise AssertionError
    (tmp_path / "again").unlink()
    twice = Peer("twice", "", "-", (), starts=2)
    with started(twice, str(command), folders, log, {"id": "a"}) as server:
        assert server.process.is_running()
        assert server.process.cpu_affinity() == [int(SERVER_CORE)]
    assert not server.process.is_running()


def test_a_rival_that_does_not_answer_is_told_after_its_own_limit() -> None:
    slow = Peer("slow", "", "-", (), start_seconds=0.0)
    with recording() as (server, _), pytest.raises(BenchmarkError, match="within 0 seconds"):
        wait_for(server, slow, b"{}")
