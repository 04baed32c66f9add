"""Tables of the gain of each way to teach, and of the language model's part in it.

They cover one graph and one kind of split; their rows may come from several evaluations, each with
its own teacher. Every difference is shown with its interval, **bold** if it remains significant
after Holm's correction for all differences of its table.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import numpy as np

from training.evaluation.plan import CHOSEN
from training.evaluation.rows import NEIGHBORHOODS, Row, unseen_name
from training.evaluation.statistics import (
    Difference,
    Summary,
    Way,
    by_split,
    chosen,
    corrected,
    difference,
    grouped,
    summarize,
)
from training.recipe_names import (
    COMBINED,
    GRAPH,
    GRAPH_BARE,
    HARD,
    PROPAGATED,
    RANDOM,
    SELF,
    SELF_BARE,
    SHUFFLED,
    SHUFFLED_BARE,
    UNSMOOTHED,
    VANILLA,
)

STUDENTS = {"sage": "GraphSAGE", "gcn": "GCN", "gat": "GAT", "gin": "GIN", "mlp": "MLP"}
ENCODERS = {"hashing": "hashed text", "minilm": "MiniLM's embeddings"}
LABELS = {
    "5-per-class": "5 labels a class",
    "20-per-class": "20 labels a class",
    "60/20/20": "60% of the labels",
    "own": "its own split",
}
TAUGHT_BY = {  # by recipe, with the language model's name; others are single objectives
    VANILLA: "labels alone",
    PROPAGATED: "labels spread over the edges",
    SELF_BARE: "itself",
    SELF: "itself, smoothed",
    GRAPH_BARE: "a GraphSAGE on MiniLM",
    GRAPH: "a GraphSAGE on MiniLM, smoothed",
    UNSMOOTHED: "{}",
    "unlabeled": "{}, smoothed",
    COMBINED: "{}, smoothed, and its features",
    HARD: "{}: its labels alone",
    SHUFFLED_BARE: "{}, shuffled",
    SHUFFLED: "{}, shuffled, smoothed",
    RANDOM: "{}, shuffled, and its features",
    CHOSEN: "{}, where validation says so",
}
SMOOTH_CONTROLS = (PROPAGATED, SELF, GRAPH)
LANGUAGE = {  # by recipe of a language model: the recipes to compare it with
    "unlabeled": SMOOTH_CONTROLS,
    COMBINED: SMOOTH_CONTROLS,
    UNSMOOTHED: (SELF_BARE, GRAPH_BARE),
}
Compared = Mapping[tuple[Way, Way], Difference]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Formats a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def title(recipe: str, teacher: str) -> str:
    text = TAUGHT_BY.get(recipe, f"{{}}, by `{recipe}` alone")
    return text.format(teacher)


def interval_text(gain: Difference) -> str:
    """A difference in points with its interval, such as +3.0 (1.2 to 4.8)."""
    text = f"{100 * gain.mean:+.1f}"
    if not np.isnan(gain.low):
        text += f" ({percent(gain.low)} to {percent(gain.high)})"
    return f"**{text}**" if gain.significant else text


def against_alone(rows: Sequence[Row], encoder: str) -> Compared:
    """Differences of every way to teach, with one kind of features, to labels alone."""
    groups = {key: group for key, group in grouped(rows).items() if key[0] == encoder}
    alone = {key[1]: (key, group) for key, group in groups.items() if key[2] == VANILLA}
    return corrected(
        {
            (key, alone[key[1]][0]): difference(group, alone[key[1]][1])
            for key, group in groups.items()
            if key[2] != VANILLA and key[1] in alone
        }
    )


def taught_table(rows: Sequence[Row], encoder: str) -> str:
    """One row per way to teach and one column per student, for one kind of features; empty without
    rows.
    """
    summaries = {way_of(s): s for s in summarize(rows) if s.encoder == encoder}
    if not summaries:
        return ""
    gains = {key: gain for (key, _), gain in against_alone(rows, encoder).items()}
    students = in_order(STUDENTS, [key[1] for key in summaries])
    ways = sorted({key[2:] for key in summaries}, key=lambda way: (place(TAUGHT_BY, way[0]), way))
    lines = []
    for recipe, teacher in ways:
        row = {s: summaries.get((encoder, s, recipe, teacher)) for s in students}
        taught = [s.taught_accuracy for s in row.values() if s and s.taught_accuracy is not None]
        cells = [title(recipe, teacher), percent(float(np.mean(taught))) if taught else ""]
        for student, summary in row.items():
            text = "" if summary is None else percent(summary.accuracy)
            gain = gains.get((encoder, student, recipe, teacher))
            cells.append(text if gain is None else f"{text}, {interval_text(gain)}")
        lines.append(cells)
    names = [STUDENTS.get(student, student) for student in students]
    return table(["taught by", "which itself has", *names], lines)


def language_differences(rows: Sequence[Row]) -> Compared:
    """Differences of students of language models to the same students taught without one."""
    groups = grouped(rows)
    return corrected(
        {
            (key, other): difference(group, groups[other])
            for key, group in groups.items()
            for control in LANGUAGE.get(key[2], ())
            if (other := (key[0], key[1], control, "")) in groups
        }
    )


def language_table(rows: Sequence[Row]) -> str:
    """The gain of the language model over each control, in points; empty if none was run."""
    differences = language_differences(rows)
    controls = in_order(TAUGHT_BY, [other[2] for _, other in differences])
    ways = list(dict.fromkeys(key for key, _ in differences))
    ways.sort(key=lambda key: (key[0], place(STUDENTS, key[1]), key[3], key[2] != "unlabeled"))
    lines = []
    for key in ways:
        gains = {other[2]: gain for (one, other), gain in differences.items() if one == key}
        cells = [interval_text(gains[name]) if name in gains else "" for name in controls]
        lines.append([*described(key), title(*key[2:]), *cells])
    header = ["student", "features", "taught by", *(f"above {title(c, '')}" for c in controls)]
    return table(header, lines) if lines else ""


def unseen_table(rows: Sequence[Row], others: Sequence[Row]) -> str:
    """Accuracy on a fifth of the test nodes: of students that were trained with these nodes in the
    graph, and of bundles that never had them, by the number of links that are given.

    Args:
        rows: of evaluations without these nodes
        others: of evaluations with them, on the same splits
    """
    seen = grouped(others)
    names = [unseen_name(links) for links in NEIGHBORHOODS]
    lines = []
    for key, group in grouped([row for row in rows if row.unseen_all is not None]).items():
        splits = {row.split for row in group}
        same = [r for r in seen.get(key, []) if r.split in splits and r.fifth_accuracy is not None]
        cells = [mean_percent(same, "fifth_accuracy") if same else ""]
        cells += [mean_percent(group, name) for name in reversed(names)]
        lines.append([*described(key), title(*key[2:]), str(len(splits)), *cells])
    links = [("all links" if n is None else f"{n} links") for n in reversed(NEIGHBORHOODS)]
    links = [text.replace("1 links", "1 link").replace("0 links", "text alone") for text in links]
    header = ["student", "features", "taught by", "splits", "in the graph", *links]
    return table(header, lines) if lines else ""


def mean_percent(rows: Sequence[Row], name: str) -> str:
    return percent(float(np.mean(list(by_split(rows, name).values()))))


def details_table(differences: Compared) -> str:
    """All differences of one table with full details."""
    lines = [
        [
            *described(key),
            title(*key[2:]),
            title(*other[2:]),
            str(gain.splits),
            interval_text(gain),
            *(f"{p:.2g}" if p == p else "" for p in (gain.p, gain.p_holm)),
            *(f"{p:.2g}" if p == p else "" for p in (gain.p_ratio, gain.p_exact)),
        ]
        for (key, other), gain in differences.items()
    ]
    header = ["student", "features", "taught by", "against", "splits", "points"]
    return table([*header, "p", "p, Holm", "p, test/train", "p, sign flips"], lines)


def described(key: Way) -> tuple[str, str]:
    return STUDENTS.get(key[1], key[1]), ENCODERS.get(key[0], key[0])


def way_of(summary: Summary) -> Way:
    return summary.encoder, summary.student, summary.recipe, summary.teacher


def in_order(known: Iterable[str], names: Iterable[str]) -> list[str]:
    return sorted(set(names), key=lambda name: (place(known, name), name))


def place(known: Iterable[str], name: str) -> int:
    """The index of a name in a list, or the list's length if it is missing."""
    order = list(known)
    return order.index(name) if name in order else len(order)


def sections(rows: Sequence[Row]) -> list[str]:
    """All tables of one graph, by kind of split and of features, from its runs."""
    parts = []
    for kind, encoder in product(LABELS, ENCODERS):
        runs = [row for row in rows if row.split_kind == kind and row.unseen_all is None]
        runs += chosen(runs)
        if text := taught_table(runs, encoder):
            parts += [f"### {LABELS[kind]}, {ENCODERS[encoder]}", text]
        if encoder == list(ENCODERS)[-1] and (text := language_table(runs)):
            parts += [f"### {LABELS[kind]}: what a language model adds to each control", text]
    return parts
