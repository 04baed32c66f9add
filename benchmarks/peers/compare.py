"""`understudy bench peers`: compares the service with other ways to serve, in one run.

    python -m benchmarks.peers BUNDLE STUDENT [--python PATH]

Servers run on one core, their client on the other; the service and a rival take turns. Every rival
has the student's weights, the bundle's graph and text encoder, and the stored nodes' h0. Before
anything is timed, its answers are compared with the service's. A rival whose packages are not
installed here can use another interpreter, with these packages and understudy's extras service and
training.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import httpx
import typer

from benchmarks.common.command import check_bundle
from benchmarks.common.graphs import described
from benchmarks.common.results import publish_results
from benchmarks.errors import BenchmarkError
from benchmarks.peers.agreement import CHECKED, Agreement, compare
from benchmarks.peers.peer import Peer, find_python, started
from benchmarks.peers.report import report
from benchmarks.peers.results import PeersResults, Plan, RivalResult
from benchmarks.peers.rivals import RIVALS
from benchmarks.peers.rounds import changed, loaded, one_at_a_time
from benchmarks.serving.questions import Questions, mutation_body
from benchmarks.serving.sequential import one_by_one
from benchmarks.serving.servers import MUTATIONS, NO_CACHE, Served, client_core, service
from understudy.engine.engine import Engine
from understudy.graph.snapshot import load_snapshot
from understudy.progress import step, terminal_progress

ENCODED = 200  # texts by which the encoder is timed


def peers(
    bundle: Annotated[Path, typer.Argument(help="Bundle to serve.")],
    student: Annotated[
        Path, typer.Argument(help="Folder of the student that the bundle was exported from.")
    ],
    python: Annotated[
        list[str] | None,
        typer.Option(
            envvar="PEERS_PYTHON",
            help="Python interpreters with the rivals' packages, if any; may be given several "
            "times.",
        ),
    ] = None,
    rivals: Annotated[
        list[str] | None,
        typer.Option(
            "--rival", help="Name of a rival to run; may be given several times; by default all."
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="Number of rounds of each; medians are reported.")
    ] = 4,
    seconds: Annotated[int, typer.Option(min=1, help="Seconds of load per round.")] = 3,
    requests: Annotated[
        int, typer.Option(min=10, help="Number of requests per round, sent one at a time.")
    ] = 200,
    changes: Annotated[int, typer.Option(min=1, help="Number of edges changed per round.")] = 10,
) -> None:
    """Compare stored nodes, unseen nodes and changes with other ways to serve them."""
    check_bundle(bundle, "taskset", "wrk")
    if not (student / "config.json").is_file():
        raise BenchmarkError(
            f"{student} is no student folder; name the one that the bundle was exported from"
        )
    chosen = choose(rivals or [])
    questions = Questions(load_snapshot(bundle / "graph"))
    plan = Plan(rounds, seconds, requests, changes)
    results = []
    with (
        terminal_progress() as progress,
        client_core(),
        tempfile.TemporaryDirectory() as folder,
        service(bundle, *NO_CACHE) as own,
    ):
        httpx.get(f"{own.url}/health/ready").raise_for_status()
        encoder_ms = time_encoder(bundle, questions)
        for number, peer in enumerate(chosen):
            with step(progress, peer.name):
                log = Path(folder) / f"{number}.log"
                results.append(
                    measure(own, peer, (bundle, student), python or [], log, plan, encoder_ms)
                )
    found = PeersResults(described(questions.graph), plan, round(encoder_ms, 4), results)
    text = report(found)
    publish_results("peers", found, text)


def choose(names: Sequence[str]) -> list[Peer]:
    """Selects rivals by name.

    Raises:
        BenchmarkError: a name is unknown.
    """
    known = {peer.name: peer for peer in RIVALS}
    if unknown := [name for name in names if name not in known]:
        raise BenchmarkError(f"there is no rival {unknown[0]!r}; --rival is of {', '.join(known)}")
    return [known[name] for name in names or known]


def time_encoder(bundle: Path, questions: Questions) -> float:
    """Median milliseconds of the text encoder and of h0, of one text at a time, in one thread."""
    times = []
    with Engine.open(bundle, threads=1) as engine:
        for node in questions.nodes("unseen", ENCODED):
            started_at = time.perf_counter()
            engine.student.read([node["text"]])
            times.append(1_000 * (time.perf_counter() - started_at))
    return statistics.median(times)


def measure(
    own: Served,
    peer: Peer,
    folders: tuple[Path, Path],
    interpreters: Sequence[str],
    log: Path,
    plan: Plan,
    encoder_ms: float,
) -> RivalResult:
    """Measures a rival and the service in turn; or records why the rival cannot run."""
    about: RivalResult = {"name": peer.name, "about": peer.about}
    questions = Questions(load_snapshot(folders[0] / "graph"))
    try:
        python = find_python(peer, interpreters)
        (first,) = questions.nodes("stored", 1)
        about["packages"] = python.packages
        with started(peer, python.path, folders, log, first) as other:
            about["agreement"] = agree(own, other, peer, questions)
            about["stored"] = loaded(own, other, peer, plan, questions, "stored")
            if peer.unseen:
                about["unseen"] = one_at_a_time(own, other, peer, plan, questions, encoder_ms)
                about["unseen_loaded"] = loaded(own, other, peer, plan, questions, "unseen")
            if peer.changes:
                about["changes"] = changed(own, other, peer, plan, questions)
                about["after_changes"] = after_a_change(own, other, peer, questions)
    except BenchmarkError as error:
        about["missing"] = str(error)
    return about


def agree(own: Served, other: Served, peer: Peer, questions: Questions) -> dict[str, Agreement]:
    """Compares the answers of both, by sort of node."""
    sorts = ("stored", "unseen") if peer.unseen else ("stored",)
    return {sort: compare(own, other, peer, questions.nodes(sort, CHECKED)) for sort in sorts}


def after_a_change(own: Served, other: Served, peer: Peer, questions: Questions) -> Agreement:
    """Compares the answers of both about the ends of an edge after adding it."""
    (edge,) = questions.edges(1)
    for server in (own, other):
        one_by_one(server, MUTATIONS, [mutation_body(edge, "add_edge")])
    found = compare(own, other, peer, [{"id": edge["source"]}, {"id": edge["target"]}])
    one_by_one(own, MUTATIONS, [mutation_body(edge, "remove_edge")])
    return found
