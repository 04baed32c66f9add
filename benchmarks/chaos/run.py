"""Kills services that share a log at random, while clients write to them and read from them.

    python -m benchmarks.chaos --log redis --seconds 60
    python -m benchmarks.chaos --log sqlite --seconds 60
    python -m benchmarks.chaos --log workers --seconds 60

The services are one of:

- redis: three replicas, each with its own data folder, on one Redis server, which is killed twice;
- sqlite: two processes on one data folder;
- workers: one service of two workers; either one worker is killed, or both with their supervisor.

Four clients write and two read meanwhile; a killed service is started again. At the end:

- the graph holds exactly the acknowledged changes, in the order of the log;
- every idempotency key, sent once more, is answered with the version that it had;
- all replicas have equal graphs, and logits within 1e-4 of each other's and of those of a service
  that was never killed;
- no answer mixed two versions, and no two replicas showed one version differently.
"""

import random
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event
from typing import Annotated, Any, NotRequired, TypedDict

import httpx
import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.chaos.clients import Client, Ledger
from benchmarks.chaos.processes import Killable, RedisServer, Replica, Team, ending
from benchmarks.common.random_bundle import make_bundle
from benchmarks.common.results import RESULTS, markdown_table, read_results, write_results
from benchmarks.errors import BenchmarkError
from understudy.engine.engine import Engine
from understudy.graph import TextGraph
from understudy.graph.log.streams.options import RedisLogOptions
from understudy.graph.mutable.materialize import to_text_graph
from understudy.progress import step, terminal_progress

NODES = 1_000
WRITERS = 4
READERS = 2
BASE_NODES = 100  # nodes that changes link to
SHARE_KILLED_EARLY = 0.1
LARGEST_DIFFERENCE = 1e-4
CONNECTIONS = 4  # connections to a service of several workers
ABOUT = (
    "Four writers and two readers ask services that are killed (SIGKILL) at random and started "
    "again; a change that got no answer is sent again under its key, to any of them. A fault would "
    "be: an acknowledged change that is missing or made twice, a key that is answered with another "
    "version, an answer that shows two versions, two services that show one version differently, "
    "graphs or figures that differ in the end. The differences are of probabilities between the "
    "services' answers, and of logits between what each starts with and an engine that was never "
    "killed."
)
KINDS = {
    "redis": "three replicas, each with a data folder, on one Redis that is killed twice",
    "sqlite": "two processes on one data folder",
    "workers": "`--workers 2` on one data folder, a worker killed or all at once",
}
SHARE_OF_ALL = 0.2  # of the kills, those of all workers with their supervisor


# The results of one kind of log; the keys are those of the file.
ChaosResult = TypedDict(
    "ChaosResult",
    {
        "seconds": float,
        "seed": int,
        "redis": str | None,  # its version
        "acknowledged changes": int,
        "answers": dict[str, int],  # kind of request and status → how many
        "services killed": int,
        "workers killed": NotRequired[int],
        "times redis was killed": int,
        "largest differences": dict[str, float],
        "faults": list[str],
    },
)


class ChaosResults(TypedDict):
    """The content of results/chaos.json."""

    kinds: dict[str, ChaosResult]


def main(
    log: Annotated[str, typer.Option(help="redis, sqlite or workers.")] = "redis",
    seconds: Annotated[float, typer.Option(help="Duration of the killing.", min=1)] = 60.0,
    seed: Annotated[int, typer.Option(help="Random seed of what is killed, and when.")] = 1,
) -> None:
    """Kill services under load, check that no change is lost, and write the results."""
    if log not in KINDS:
        raise BenchmarkError(f"--log is {log!r}: expected redis, sqlite or workers")
    with tempfile.TemporaryDirectory() as folder, terminal_progress() as progress:
        with step(progress, "Making a bundle"):
            bundle = make_bundle(Path(folder) / "bundle", NODES)
        redis = RedisServer(Path(folder) / "redis") if log == "redis" else None
        replicas = make_replicas(log, bundle, Path(folder), redis)
        found = run(bundle, replicas, redis, seconds, seed)
    report(log, found)
    if found["faults"]:
        raise BenchmarkError(f"{len(found['faults'])} faults, the first: {found['faults'][0]}")


def run(
    bundle: Path,
    replicas: Sequence[Replica],
    redis: RedisServer | None,
    seconds: float,
    seed: int,
) -> ChaosResult:
    """Runs the services and the clients once; returns the figures and the faults."""
    processes: list[Killable] = [*replicas, *([redis] if redis else [])]
    ledger = Ledger()
    with ending(processes):
        for process in reversed(processes):
            process.start()
            if process is redis:
                process.await_ready()
        for replica in replicas:
            replica.await_ready()
        version = redis.version() if redis else None
        unleash(replicas, redis, ledger, seconds, random.Random(seed))
        send_again(replicas, ledger)
        differences = compare_answers(replicas, ledger)
    with ending([redis] if redis else []):
        if redis is not None:
            redis.start()
            redis.await_ready()
        differences |= compare_engines(bundle, replicas, ledger)
    return {
        "seconds": seconds,
        "seed": seed,
        "redis": version,
        "acknowledged changes": len(ledger.changes),
        "answers": dict(sorted(ledger.answers.items())),
        "services killed": sum(replica.kills for replica in replicas),
        "workers killed": sum(r.killed_workers for r in replicas if isinstance(r, Team)),
        "times redis was killed": redis.kills if redis else 0,
        "largest differences": differences,
        "faults": ledger.faults,
    }


def make_replicas(
    log: str, bundle: Path, folder: Path, redis: RedisServer | None
) -> Sequence[Replica]:
    if log == "workers":
        return [Team(folder / "service", bundle=bundle, data=folder / "data")]
    if redis is None:
        return [
            Replica(folder / f"process-{n}", bundle=bundle, data=folder / "data") for n in range(2)
        ]
    return [
        Replica(folder / f"replica-{n}", bundle=bundle, data=folder / f"data-{n}", log=redis.url)
        for n in range(3)
    ]


def unleash(
    replicas: Sequence[Replica],
    redis: RedisServer | None,
    ledger: Ledger,
    seconds: float,
    chance: random.Random,
) -> None:
    """Runs the clients while services are killed, until all changes are acknowledged."""
    stop = Event()
    urls = [replica.url for replica in replicas]
    clients = [
        Client(urls, ledger, chance.randrange(2**32), stop) for _ in range(WRITERS + READERS)
    ]
    page = httpx.get(f"{urls[0]}/nodes", params={"limit": BASE_NODES}).json()
    base = [node["id"] for node in page["nodes"]]
    with ThreadPoolExecutor(len(clients) + 2) as pool:
        asking = [
            pool.submit(client.write, number, base)
            for number, client in enumerate(clients[:WRITERS])
        ]
        asking += [pool.submit(client.read) for client in clients[WRITERS:]]
        until, seed = time.monotonic() + seconds, chance.randrange(2**32)
        killing = [
            pool.submit(kill_workers, replica, until, seed)
            for replica in replicas
            if isinstance(replica, Team)
        ] or [pool.submit(kill_services, replicas, until, seed)]
        if redis is not None:
            killing.append(pool.submit(kill_redis, redis, seconds))
        wait(killing)
        stop.set()
        for done in (*killing, *asking):
            done.result()
    for client in clients:
        client.http.close()


def kill_workers(team: Team, until: float, seed: int) -> None:
    """Kills one worker or all at random, sometimes while they start; restarts the service."""
    chance = random.Random(seed)
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(chance.uniform(0.3, 2.0), left))
        if team.answers() and chance.random() < SHARE_OF_ALL:
            team.kill()
        elif team.answers():
            team.kill_one(chance)
        if team.ended():
            time.sleep(chance.uniform(0.0, 0.5))
            team.start()
    team.await_ready()


def kill_services(replicas: Sequence[Replica], until: float, seed: int) -> None:
    """Kills replicas at random, sometimes while they start, and restarts them; one always runs."""
    chance = random.Random(seed)
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(chance.uniform(0.3, 2.0), left))
        ready = [replica for replica in replicas if replica.answers()]
        starting = [replica for replica in replicas if replica not in ready]
        if len(ready) > 1:
            down = chance.sample(ready, chance.randint(1, len(ready) - 1))
        elif ready and chance.random() < SHARE_KILLED_EARLY:
            down = [chance.choice(starting)]
        else:
            continue
        for replica in down:
            replica.kill()
        time.sleep(chance.uniform(0.0, 0.5))
        for replica in down:
            replica.start()
    for replica in replicas:
        replica.await_ready()


def kill_redis(redis: RedisServer, seconds: float) -> None:
    for _ in range(2):
        time.sleep(seconds / 3)
        redis.kill()
        time.sleep(1.0)
        redis.start()
        redis.await_ready()


def send_again(replicas: Sequence[Replica], ledger: Ledger) -> None:
    """Sends every change again; the answer must be the version that it had the first time."""
    client = Client([replica.url for replica in replicas], ledger, 0, Event())
    for change in list(ledger.changes):
        version = client.make(change.key, change.mutations)
        if version != change.version:
            ledger.fault(f"{change.key} was version {change.version}, sent again {version}")
    client.http.close()


def compare_answers(replicas: Sequence[Replica], ledger: Ledger) -> dict[str, float]:
    """Compares all nodes and their probabilities between the replicas' answers."""
    newest = max(change.version for change in ledger.changes)
    headers = {"x-min-graph-version": str(newest)}
    addresses = [replica.url for replica in replicas]
    if len(addresses) == 1:  # each connection may reach another worker
        addresses *= CONNECTIONS
    found = [everything(url, headers) for url in addresses]
    for nodes, _ in found[1:]:
        if nodes != found[0][0]:
            ledger.fault("the replicas answer with different nodes")
            return {}
    return {"probabilities between replicas": spread(ledger, [scores for _, scores in found])}


def everything(url: str, headers: dict[str, str]) -> tuple[list[Any], NDArray[np.float64]]:
    """Reads all stored nodes, and the probability of every label; float64 [N, labels]."""
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        labels = client.get("/info").json()["labels"]
        nodes: list[Any] = []
        after: str | None = ""
        while after is not None:
            page = client.get("/nodes", params={"after": after, "limit": 1_000}).json()
            nodes, after = nodes + page["nodes"], page["next"]
        rows = []
        for start in range(0, len(nodes), 200):
            ids = [{"id": node["id"]} for node in nodes[start : start + 200]]
            body = {"nodes": ids, "top_k": min(len(labels), 10)}
            answer = client.post("/classify", json=body).raise_for_status().json()
            for prediction in answer["predictions"]:
                row = dict.fromkeys(labels, 0.0)
                row |= {entry["label"]: entry["score"] for entry in prediction["top"]}
                rows.append(list(row.values()))
    return nodes, np.array(rows)


def compare_engines(bundle: Path, replicas: Sequence[Replica], ledger: Ledger) -> dict[str, float]:
    """Compares what data folders and log hold with an engine that applied all changes in order."""
    graphs, logits = [], []
    with Engine.open(bundle) as never_killed:
        for change in sorted(ledger.changes, key=lambda change: change.version):
            never_killed.apply(change.mutations)
        for engine in (never_killed, *opened(bundle, replicas)):
            engine.settle()
            graphs.append(to_text_graph(engine.state.graph))
            names = sorted(graphs[0].ids.to_pylist())
            if names != sorted(graphs[-1].ids.to_pylist()):
                ledger.fault("the nodes are not those that the acknowledged changes lead to")
                return {}
            logits.append(engine.state.logits(engine.state.rows(names)))
            engine.close()
    all_contents = [contents(graph) for graph in graphs]
    if any(other != all_contents[0] for other in all_contents[1:]):
        ledger.fault("the graph is not the one that the acknowledged changes lead to")
    return {"logits between replicas and one that was never killed": spread(ledger, logits)}


def opened(bundle: Path, replicas: Sequence[Replica]) -> list[Engine]:
    return [
        Engine.open(
            bundle,
            data=replica.data,
            log=RedisLogOptions(replica.log) if replica.log else None,
        )
        for replica in replicas
    ]


def contents(graph: TextGraph) -> tuple[dict[str, tuple[str, int]], set[tuple[str, str]]]:
    """The text and label of each id, and the edges as pairs of ids; independent of node order."""
    ids = graph.ids.to_pylist()
    nodes = dict(
        zip(ids, zip(graph.texts.to_pylist(), graph.labels.tolist(), strict=True), strict=True)
    )
    edges = {
        (ids[node], ids[other])
        for node in range(len(ids))
        for other in graph.adjacency.neighbors(node).tolist()
    }
    return nodes, edges


def spread(ledger: Ledger, tables: Sequence[NDArray[np.floating]]) -> float:
    """The largest difference of any table from the first; it is a fault if it is too large."""
    largest = max(float(np.abs(table - tables[0]).max()) for table in tables)
    if largest > LARGEST_DIFFERENCE:
        ledger.fault(f"replicas differ by {largest:.2e}")
    return largest


def report(log: str, found: ChaosResult) -> None:
    """Writes the results, next to those of the other kinds of log, and prints the table."""
    path = RESULTS / "chaos.json"
    own = "python -m benchmarks.chaos"
    kinds = read_results(path, ChaosResults, own)["kinds"] if path.exists() else {}
    kinds[log] = found
    rows = []
    for kind, figures in sorted(kinds.items()):
        differences = ", ".join(f"{v:.1e}" for v in figures["largest differences"].values())
        rows.append(
            [
                f"{kind}: {KINDS[kind]}",
                f"{figures['seconds']:g}",
                figures["services killed"],
                figures.get("workers killed", 0),
                figures["times redis was killed"],
                f"{figures['acknowledged changes']:,}",
                differences,
                len(figures["faults"]),
            ]
        )
    header = ["log", "seconds", "services killed", "workers killed", "Redis killed"]
    header += ["acknowledged changes", "largest differences", "faults"]
    table = markdown_table(header, rows)
    write_results("chaos", {"kinds": kinds}, f"{ABOUT}\n\n{table}")
    typer.echo(table)
