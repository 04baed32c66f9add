"""`understudy bench load`: what becomes of answers as requests come faster.

    python -m benchmarks.load BUNDLE [--rates 100,1000] [--mix stored=90,unseen=9,changes=1]
    python -m benchmarks.load BUNDLE --teacher FOLDER --rates 1,10,100

Requests start by a Poisson process, whatever the answers do, and are timed from when they were to
start. Goodput is answers with success within the deadline, a second. With --tell-deadline every
rate is measured twice, the second time with requests that say that they want their answer within
the deadline (x-timeout-seconds), so that the service need not work for them in vain.

The service runs on one core, with --teacher that teacher's server beside it, and the client on the
other; where the client itself is too slow, its lateness counts as the service's, so a rate that
neither sustains is a lower bound of the service's own.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import psutil
import typer

from benchmarks.errors import BenchmarkError
from benchmarks.loops import run_to_end
from benchmarks.measure import (
    check_means,
    described_bundle,
    markdown_table,
    run_script,
    write_results,
)
from benchmarks.open_loop import Arrival, Tally, open_loop, poisson_times
from benchmarks.questions import Questions
from benchmarks.raw_client import RawClient, prepare
from benchmarks.servers import MUTATIONS, NO_CACHE, Served, client_core, service, teacher_server
from understudy.graph.progress import terminal_progress
from understudy.graph.snapshot import load_snapshot

SORTS = ("stored", "unseen", "teacher", "changes")
RATES = "100,300,1000,3000"
MIXES = ("stored=100", "unseen=100", "stored=90,unseen=9,changes=1")
TEACHER_MIX = "teacher=100"  # unseen nodes, answered by the teacher
REFUSALS = (429, 503)
WARM = 50  # requests before each rate, which are not told
MOST_REQUESTS = 2_000_000  # of a rate: all are made before the first is sent, of some hundred bytes

Mix = Mapping[str, float]  # shares by sort


@dataclass(frozen=True, slots=True)
class Answered:
    """Of the requests of one sort, at one rate; milliseconds from when they were to start."""

    requests: int
    p50: float | None  # None where none was answered with success
    p99: float | None
    in_time: int  # answers with success within the deadline
    refused: int  # 429 and 503: asked to come again
    failed: int  # any other status, and no answer
    failures: dict[str, int]  # why they failed → how often


def load(
    bundle: Annotated[Path, typer.Argument(help="Bundle to serve.")],
    rates: Annotated[str, typer.Option(help="Requests per second, separated by commas.")] = RATES,
    mixes: Annotated[
        list[str] | None,
        typer.Option(
            "--mix",
            help=f"Percentages of {', '.join(SORTS)}, such as {MIXES[-1]}; may be given several "
            "times.",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds per rate.")] = 20.0,
    deadline: Annotated[
        float, typer.Option(min=1, help="Milliseconds within which an answer counts as good.")
    ] = 50.0,
    teacher: Annotated[
        Path | None, typer.Option(help="Folder of a trained teacher to ask beside the student.")
    ] = None,
    tell_deadline: Annotated[
        bool,
        typer.Option(
            "--tell-deadline",
            help="Repeat each run with requests that state their deadline, for comparison.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the arrival times.")] = 0,
) -> None:
    """Load the service at given rates: latency and goodput, mix by mix."""
    wanted = parse_rates(rates)
    shares = parse_mixes(mixes or (MIXES if teacher is None else (*MIXES, TEACHER_MIX)), teacher)
    check_few(max(wanted), seconds)
    check_means(bundle, "taskset")
    questions = Questions(load_snapshot(bundle / "graph"))
    rows = []
    with terminal_progress() as progress, client_core(), asked(bundle, teacher) as servers:
        wishes = (None, deadline / 1_000) if tell_deadline else (None,)
        steps = list(itertools.product(shares, wanted, wishes))
        for number, (mix, rate, wish) in enumerate(steps):
            progress("Loading the service", number, len(steps))
            own = seed + number // len(wishes)
            arrivals = planned(questions, shares[mix], rate, seconds, own, wish)
            found = run_to_end(drive(servers, arrivals, seconds, deadline / 1_000))
            rows.append({"mix": mix, "rate": rate, "told": wish is not None, **found})
        progress("Loading the service", len(steps), len(steps))
    graph = described_bundle(bundle, questions.graph)
    text = report(graph, rows, seconds, deadline)
    typer.echo(text)
    results = {"graph": graph, "seconds": seconds, "deadline_ms": deadline, "loads": rows}
    write_results("load_told" if tell_deadline else "load", results, text)


@contextmanager
def asked(bundle: Path, teacher: Path | None) -> Iterator[list[Served]]:
    """The service, once it is ready, and behind it the teacher's server, if there is a teacher."""
    with ExitStack() as stack:
        servers: list[Served] = []
        flags: tuple[str, ...] = NO_CACHE
        if teacher is not None:
            servers.append(stack.enter_context(teacher_server(teacher)))
            flags = (*NO_CACHE, "--teacher-url", f"{servers[0].url}/v1")
        server = stack.enter_context(service(bundle, *flags))
        httpx.get(f"{server.url}/health/ready").raise_for_status()
        yield [server, *servers]


def parse_rates(text: str) -> list[float]:
    """Numbers above 0.

    Raises:
        BenchmarkError: something else.
    """
    try:
        rates = [float(part) for part in text.split(",")]
    except ValueError:
        rates = [0.0]
    if not all(0 < rate < math.inf for rate in rates):
        raise BenchmarkError(f"--rates takes numbers above 0 between commas, not {text!r}")
    return rates


def check_few(rate: float, seconds: float) -> None:
    """Refuses more requests than memory can be counted on to hold.

    Raises:
        BenchmarkError: there are more.
    """
    if rate * seconds > MOST_REQUESTS:
        raise BenchmarkError(
            f"--rates {rate:g} for --seconds {seconds:g} are {rate * seconds:,.0f} requests, of at "
            f"most {MOST_REQUESTS:,}; lower one of them"
        )


def parse_mixes(texts: Sequence[str], teacher: Path | None) -> dict[str, dict[str, float]]:
    """Shares by the text that says them.

    Raises:
        BenchmarkError: see `parse_mix`; or a teacher's share without a teacher.
    """
    shares = {text: parse_mix(text) for text in texts}
    for text, own in shares.items():
        if "teacher" in own and teacher is None:
            raise BenchmarkError(f"--mix {text} asks a teacher; name its folder with --teacher")
    return shares


def parse_mix(text: str) -> dict[str, float]:
    """Shares that add up to 1, of those sorts that are named.

    Raises:
        BenchmarkError: an unknown sort, or shares that are none.
    """
    try:
        pairs = [part.split("=") for part in text.split(",")]
        shares = {name.strip(): float(share) for name, share in pairs}
    except ValueError:
        shares = {}
    known = bool(shares) and shares.keys() <= set(SORTS) and len(shares) == text.count(",") + 1
    if not known or not all(0 < share < math.inf for share in shares.values()):
        raise BenchmarkError(
            f"--mix takes shares above 0 of {', '.join(SORTS)}, each once, such as {MIXES[-1]}; "
            f"not {text!r}"
        )
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()}


def planned(
    questions: Questions,
    mix: Mix,
    rate: float,
    seconds: float,
    seed: int,
    wish: float | None = None,
) -> list[Arrival]:
    """The requests of a rate, each of a drawn sort.

    Args:
        wish: seconds within which they say that their answer is wanted; None: they say nothing
    """
    times = poisson_times(rate, seconds, seed)
    sorts = np.random.default_rng(seed).choice(list(mix), len(times), p=list(mix.values()))
    counts = {name: int((sorts == name).sum()) for name in mix}
    requests = {name: prepared(questions, name, counts[name], wish) for name in mix}
    return [
        Arrival(at, next(requests[name]), name)
        for at, name in zip(times, sorts.tolist(), strict=True)
    ]


def prepared(
    questions: Questions, sort: str, count: int, wish: float | None = None
) -> Iterator[bytes]:
    """Requests of one sort; each change adds an edge that no other one adds."""
    if sort == "teacher":
        nodes = questions.nodes("unseen", count)
        bodies = [{"nodes": [node], "route": "teacher"} for node in nodes]
        return iter([prepare(body, seconds=wish) for body in bodies])
    if sort != "changes":
        bodies = [{"nodes": [node]} for node in questions.nodes(sort, count)]
        return iter([prepare(body, seconds=wish) for body in bodies])
    changes = [{"kind": "add_edge", **edge} for edge in questions.edges(count)]
    return iter([prepare({"mutations": [change]}, MUTATIONS, wish) for change in changes])


async def drive(
    servers: Sequence[Served], arrivals: Sequence[Arrival], seconds: float, deadline: float
) -> dict[str, Any]:
    """One rate's figures, all sorts together and each of them; the first server is asked."""
    address = httpx.URL(servers[0].url)
    client = RawClient(address.host, address.port or 80)
    for arrival in arrivals[:WARM]:
        if arrival.sort in ("stored", "unseen"):
            await client.send(arrival.request)
    before, own = busy_seconds(servers), psutil.Process().cpu_times()
    tallies, took = await open_loop(client, arrivals)
    after = psutil.Process().cpu_times()
    client.close()
    sorts = {name: answered(tally, deadline) for name, tally in tallies.items()}
    everything = answered(together(tallies), deadline)
    return {
        "goodput_per_second": round(everything.in_time / max(seconds, took), 2),
        "server_busy": round((busy_seconds(servers) - before) / took, 3),
        "client_busy": round((after.user + after.system - own.user - own.system) / took, 3),
        "all": asdict(everything),
        "sorts": {name: asdict(found) for name, found in sorts.items()},
    }


def busy_seconds(servers: Sequence[Served]) -> float:
    return sum(server.processor_seconds for server in servers)


def together(tallies: Mapping[str, Tally]) -> Tally:
    whole = Tally()
    for tally in tallies.values():
        whole.seconds += tally.seconds
        whole.statuses.update(tally.statuses)
        whole.broken.update(tally.broken)
    return whole


def answered(tally: Tally, deadline: float) -> Answered:
    times = np.array(tally.seconds)
    p50 = p99 = None
    if tally.seconds:
        p50, p99 = (1_000 * np.percentile(times, [50, 99])).round(3).tolist()
    refused = sum(tally.statuses.get(status, 0) for status in REFUSALS)
    requests = sum(tally.statuses.values()) + tally.failures
    in_time = int((times <= deadline).sum())
    others = {s: count for s, count in tally.statuses.items() if s not in (200, *REFUSALS)}
    failures = {f"status {status}": count for status, count in others.items()} | tally.broken
    return Answered(requests, p50, p99, in_time, refused, sum(failures.values()), failures)


def report(graph: str, rows: Sequence[Mapping[str, Any]], seconds: float, deadline: float) -> str:
    cells = []
    for row in rows:
        busy = f"{row['server_busy']:.0%}", f"{row['client_busy']:.0%}"
        goodput = f"{row['goodput_per_second']:,.1f}"
        mix = f"{row['mix']}, deadline told" if row.get("told") else row["mix"]
        first = [mix, f"{row['rate']:,.0f}"]
        cells.append([*first, "all", *figures(row["all"]), goodput, *busy])
        if len(row["sorts"]) > 1:
            cells += [
                ["", "", name, *figures(own)] + [""] * 3 for name, own in row["sorts"].items()
            ]
    header = (
        "mix", "requests/s", "of them", "asked", "p50 ms", "p99 ms", "in time", "refused",
        "failed", "goodput/s", "server's core busy", "client's",
    )  # fmt: skip
    return (
        f"Bundle of {graph}. Poisson arrivals for {seconds:.0f} s at each rate, timed from when "
        f"they were to start; in time is within {deadline:.0f} ms.\n\n"
        + markdown_table(header, cells)
    )


def figures(found: Mapping[str, Any]) -> list[str]:
    share = f"{found['in_time'] / max(found['requests'], 1):.1%}"
    times = ["" if found[rank] is None else f"{found[rank]:.2f}" for rank in ("p50", "p99")]
    reasons = "; ".join(f"{why}: {n:,}" for why, n in found.get("failures", {}).items())
    return [
        f"{found['requests']:,}",
        *times,
        share,
        f"{found['refused']:,}",
        f"{found['failed']:,}{f' ({reasons})' if reasons else ''}",
    ]


if __name__ == "__main__":
    run_script(load)
