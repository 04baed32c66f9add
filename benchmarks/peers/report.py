"""The tables of results/peers.md."""

from collections.abc import Sequence

from benchmarks.common.results import markdown_table
from benchmarks.peers.agreement import Agreement
from benchmarks.peers.results import (
    LoadComparison,
    PeersResults,
    RivalResult,
    TimeComparison,
    UnseenComparison,
)
from benchmarks.peers.rivals import KHOP, TABLE

SLOWER_ALLOWED = 1.5  # stored nodes: times the table's rate may be ours
STORED_AIM, UNSEEN_AIM = 20, 5  # times the k-hop rival


def report(found: PeersResults) -> str:
    ran = measured(found)
    encoder = f"the text encoder, which all share, takes {found.encoder_ms:.2f} ms of each"
    stored = [[r["name"], *loaded_cells(r["stored"])] for r in ran if "stored" in r]
    unseen = [[r["name"], *latency_cells(r["unseen"])] for r in ran if "unseen" in r]
    loaded = [[r["name"], *loaded_cells(r["unseen_loaded"])] for r in ran if "unseen_loaded" in r]
    changes = [[r["name"], *latency_cells(r["changes"])] for r in ran if "changes" in r]
    agreed = [[r["name"], *agreement_cells(r["agreement"])] for r in ran if "agreement" in r]
    details = [
        table("Stored nodes, 16 connections", STORED_HEADER, stored),
        table(f"Unseen nodes, one after the other; {encoder}", UNSEEN_HEADER, unseen),
        table("Unseen nodes, 16 connections", STORED_HEADER, loaded),
        table("A change of one edge", CHANGE_HEADER, changes),
        table("Answers against the service's", AGREEMENT_HEADER, agreed),
    ]
    return "\n".join([summary(found), *filter(None, details)])


def summary(found: PeersResults) -> str:
    """All rivals in one table, the aims of the comparison, and which were not measured."""
    ran = measured(found)
    missing = [result for result in found.rivals if "missing" in result]
    parts = [
        f"Bundle of {found.graph}. Servers on one core, their client on the other; the service "
        f"and a rival take turns, {found.plan.rounds} of each. *By processor*: the same by "
        "the server's processor time a request, which other work on the machine disturbs less.\n",
        overview(ran),
        aims(ran),
        "".join(f"- {described(result)}\n" for result in ran),
    ]
    if missing:
        lines = [f"- {result['name']}: {result['missing']}" for result in missing]
        parts.append("Not measured:\n\n" + "\n".join(lines) + "\n")
    return "\n".join(part for part in parts if part)


def measured(found: PeersResults) -> list[RivalResult]:
    return [result for result in found.rivals if "missing" not in result]


OVERVIEW_HEADER = (
    "rival", "stored nodes/s: ours", "its", "times its rate", "unseen p50 ms: ours", "its",
    "times faster apart from the encoder", "a change p50 ms: ours", "its", "times faster",
)  # fmt: skip
STORED_HEADER = (
    "rival", "ours, requests/s", "its", "times its rate", "ours, processor µs",
    "its", "times, by processor",
)  # fmt: skip
UNSEEN_HEADER = (
    "rival", "ours, p50 ms", "p99", "its p50", "p99", "times faster", "apart from the encoder",
    "times, by processor",
)  # fmt: skip
CHANGE_HEADER = ("rival", "ours, p50 ms", "p99", "its p50", "p99", "times faster", "by processor")
AGREEMENT_HEADER = ("rival", "nodes", "same label", "largest difference of a probability")


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with a row per measured rival; empty if there is none."""
    return f"{title}:\n\n{markdown_table(header, rows)}" if rows else ""


def overview(ran: Sequence[RivalResult]) -> str:
    """A row for each rival, empty where it has no such answer."""
    rows = []
    for result in ran:
        unseen, changes = result.get("unseen"), result.get("changes")
        apart = unseen.times_apart_from_encoder if unseen else None
        faster = changes.times_faster if changes else None
        others = [*overview_cells(unseen, apart), *overview_cells(changes, faster)]
        rows.append([result["name"], *loaded_cells(result["stored"])[:3], *others])
    return markdown_table(OVERVIEW_HEADER, rows) if rows else ""


def overview_cells(found: TimeComparison | None, ratio: float | None) -> list[str]:
    if found is None:
        return [""] * 3
    return [f"{found.ours.p50:.2f}", f"{found.theirs.p50:.2f}", times(ratio)]


def loaded_cells(found: LoadComparison) -> list[str]:
    return [
        f"{found.ours.per_second:,.0f}",
        f"{found.theirs.per_second:,.0f}",
        times(found.times_the_rate),
        f"{found.ours.processor_us:,.0f}",
        f"{found.theirs.processor_us:,.0f}",
        times(found.times_by_processor),
    ]


def latency_cells(found: TimeComparison) -> list[str]:
    cells = [f"{time:.2f}" for side in (found.ours, found.theirs) for time in (side.p50, side.p99)]
    cells.append(times(found.times_faster))
    if isinstance(found, UnseenComparison):
        cells.append(times(found.times_apart_from_encoder))
    return [*cells, times(found.times_by_processor)]


def agreement_cells(found: dict[str, Agreement]) -> list[str]:
    return [
        str(sum(part.nodes for part in found.values())),
        " / ".join(f"{part.same_label:.0%}" for part in found.values()),
        f"{max(part.difference for part in found.values()):.0e}",
    ]


def described(result: RivalResult) -> str:
    versions = ", ".join(f"{name} {found}" for name, found in result["packages"].items())
    return f"{result['name']}: {result['about']} ({versions})"


def times(value: float | None) -> str:
    if value is None:
        return "not told: no time is left beside the encoder's"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"


def aims(ran: list[RivalResult]) -> str:
    """The aims of the comparison, and whether each is reached."""
    by_name = {result["name"]: result for result in ran}
    lines = []
    if khop := by_name.get(KHOP):
        stored = khop["stored"].times_the_rate
        unseen = khop["unseen"].times_apart_from_encoder
        lines += [
            f"stored nodes at {STORED_AIM} times the rate of {KHOP}: {times(stored)}",
            f"unseen nodes, apart from the encoder, {UNSEEN_AIM} times faster at p50 than {KHOP}: "
            f"{times(unseen)}",
        ]
    if found := by_name.get(TABLE):
        slower = 1 / found["stored"].times_the_rate
        lines.append(f"stored nodes within {SLOWER_ALLOWED} times of {TABLE}: {times(slower)}")
    return "Aims:\n\n" + "".join(f"- {line}\n" for line in lines) if lines else ""
