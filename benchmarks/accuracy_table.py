"""All evaluations at a glance: students by graph, split and encoder; objectives; controls."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from benchmarks.measure import markdown_table
from training.config import ENCODER_KINDS, StudentConfig
from training.evaluation.plan import CHOSEN
from training.recipes import COMBINED, HARD, PROPAGATED, RANDOM, RECIPES, SELF, SHUFFLED, VANILLA
from training.teacher.answers.views import chosen_view

TAUGHT = "unlabeled"  # the recipe that is told: soft labels on unlabelled nodes
STUDENTS = {"sage": "GraphSAGE", "gcn": "GCN", "gat": "GAT", "gin": "GIN"}
SIGNIFICANT = 0.01
TITLES = {"20-per-class": "20 a class", "60/20/20": "60%", "hashing": "hashed", "minilm": "MiniLM"}
HEADER = ("graph", "labels", "features", "teacher", "alone", "distilled", "kept")
KEY = f"""\
# At a glance

Test accuracy in percent, students in the order {" / ".join(STUDENTS.values())}. *Alone*: trained \
on the labels. *Distilled*: on the teacher's soft labels of unlabelled nodes, too; **bold** where \
better with p < {SIGNIFICANT}, _italic_ where worse with p < {SIGNIFICANT} (Wilcoxon, paired, \
two-sided). *Kept*: of the recipes that were run, what validation chooses. *Frozen*: a teacher of \
which only a head was fitted to each split.
"""
OBJECTIVES_KEY = f"""\
What each objective brings, students in the same order. `{VANILLA}`: the labels alone; \
`{TAUGHT}`: soft labels on unlabelled nodes; `lingugkd`: the layer-adaptive contrastive loss; \
`{COMBINED}`: both, as `understudy distill` weights them; `{RANDOM}` and `{HARD}`: the same with a \
teacher whose answers and features are shuffled, and with the labels that the teacher names; the \
others: [method.md](../../docs/concepts/method.md#objectives).
"""
OBJECTIVES_HEADER = ("graph", "labels", "features", "teacher", "recipe", "test accuracy")
CONTROLS = (VANILLA, SHUFFLED, RANDOM, PROPAGATED, SELF, TAUGHT)
CONTROLS_KEY = f"""\
How much of it is the language model's? `{SHUFFLED}`: the teacher's answers shuffled among the \
nodes; `{RANDOM}`: its features, too, and the objectives that read them; `{PROPAGATED}`: no \
teacher, the training labels spread over the edges; `{SELF}`: the student's own answers in the \
teacher's place. All are smoothed over the edges as the teacher's answers are. Whether a student \
of the teacher is significantly better than one of itself stands in each report, under "What the \
language model adds".
"""
CONTROLS_HEADER = ("graph", "labels", "student", "teacher", "alone", *CONTROLS[1:-1], "distilled")

Evaluation = Mapping[str, Any]
Row = Sequence[str]


def overview(evaluations: Mapping[str, Evaluation]) -> str:
    """Of the evaluations whose students are as wide as `understudy distill` makes them."""
    parts = (
        (KEY, HEADER, student_rows),
        (OBJECTIVES_KEY, OBJECTIVES_HEADER, objective_rows),
        (CONTROLS_KEY, CONTROLS_HEADER, control_rows),
    )
    return "\n".join(
        f"{key}\n{markdown_table(header, list(gathered(evaluations, rows)))}"
        for key, header, rows in parts
    )


def gathered(
    evaluations: Mapping[str, Evaluation], rows: Callable[[str, Evaluation], Iterator[Row]]
) -> Iterator[Row]:
    for name, evaluation in sorted(evaluations.items()):
        if evaluation["options"]["hidden"] == StudentConfig().hidden:
            yield from rows(name, evaluation)


def named(
    name: str, evaluation: Evaluation
) -> tuple[str, str, dict[tuple[str, str, str], Mapping[str, Any]]]:
    """The graph, the kind of split, and summaries by encoder, student and recipe."""
    split = evaluation["options"]["split_kind"]
    graph = name.partition(f"-{split.replace('/', '-')}-")[0]
    found = {(s["encoder"], s["student"], s["recipe"]): s for s in evaluation["summaries"]}
    return graph, TITLES[split], found


def student_rows(name: str, evaluation: Evaluation) -> Iterator[Row]:
    graph, labels, found = named(name, evaluation)
    for encoder in sorted(ENCODER_KINDS):
        if any((encoder, student, TAUGHT) not in found for student in STUDENTS):
            continue
        alone, distilled, kept = (
            " / ".join(cell(found[encoder, student, recipe]) for student in STUDENTS)
            for recipe in (VANILLA, TAUGHT, CHOSEN)
        )
        yield graph, labels, TITLES[encoder], teacher(evaluation), alone, distilled, kept


def objective_rows(name: str, evaluation: Evaluation) -> Iterator[Row]:
    """Of evaluations that have more than the recipes of the first table and their controls."""
    graph, labels, found = named(name, evaluation)
    for encoder in sorted(ENCODER_KINDS):
        recipes = [r for r in RECIPES if any((encoder, s, r) in found for s in STUDENTS)]
        if COMBINED not in recipes:
            continue
        for recipe in recipes:
            summaries = [found.get((encoder, student, recipe)) for student in STUDENTS]
            cells = " / ".join(cell(summary) if summary else "-" for summary in summaries)
            yield graph, labels, TITLES[encoder], teacher(evaluation), recipe, cells


def control_rows(name: str, evaluation: Evaluation) -> Iterator[Row]:
    graph, labels, found = named(name, evaluation)
    for encoder, student in product(sorted(ENCODER_KINDS), STUDENTS):
        if (encoder, student, SELF) in found:
            cells = [
                f"{100 * summary['accuracy']:.1f}" if summary else ""
                for summary in (found.get((encoder, student, recipe)) for recipe in CONTROLS)
            ]
            who = f"{STUDENTS[student]}, {TITLES[encoder]}"
            yield graph, labels, who, teacher(evaluation), *cells


def cell(summary: Mapping[str, Any]) -> str:
    text = f"{100 * summary['accuracy']:.1f}"
    if summary["recipe"] in (VANILLA, CHOSEN) or summary["wilcoxon_p"] >= SIGNIFICANT:
        return text
    return f"**{text}**" if summary["gain"] > 0 else f"_{text}_"


def teacher(evaluation: Evaluation) -> str:
    """What students learned from: the mean of every split's best view on validation."""
    views = [metrics[f"test_accuracy_{chosen_view(metrics)}"] for metrics in evaluation["teachers"]]
    frozen = evaluation["options"]["teacher"]["encoder"]["frozen"]
    return f"{100 * np.mean(views):.1f}{', frozen' if frozen else ''}"
