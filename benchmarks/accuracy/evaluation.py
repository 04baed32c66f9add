"""Evaluates the test accuracy of students by teacher: a language model, another one, or none.

    python -m benchmarks.accuracy                     # docs/results.md, from the committed runs
    python -m benchmarks.accuracy WORK GRAPH... [--part alone] [--labels 20-per-class] [--unseen]

A part is a teacher with its recipes. All parts of a graph and kind of split have the same splits
and the same students, so docs/results.md lays them side by side:

    alone           no language model: the labels, spread over the edges, the student itself,
                    a GraphSAGE on MiniLM's embeddings
    frozen          MiniLM asked, a head fitted: teach --frozen --no-show-labels
    objectives      the same, each objective by itself beside the labels
    tuned           MiniLM tuned for each split: teach (few labels: --epochs 12
                    --learning-rate 1e-5; many nodes: --max-train-nodes 2000)
    gemma-untuned   Gemma 3 270M as it is: teach --teacher gemma --epochs 0
    gemma           the same, tuned for each split: teach --teacher gemma

Everything else is a default of `understudy evaluate`. What WORK holds is not run again, so a call
that was stopped goes on. With --unseen a fifth of the test nodes is taken out beforehand and asked
of the exported bundle, see `benchmarks.accuracy.unseen`; the same students are trained with those
nodes in the graph, too (PART-seen beside PART-unseen), and stand in that table alone. Each
evaluation's runs.parquet, report and plots are put into results/accuracy/GRAPH-LABELS-PART, from
which docs/results.md is then written.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from benchmarks.accuracy.page import FOLDER, SEEN, UNSEEN, write_page
from benchmarks.accuracy.unseen import AskBundle
from training.cli.evaluate import parse_names
from training.config import ENCODER_KINDS, STUDENT_KINDS, EncoderKind
from training.evaluation.evaluate import evaluate_all
from training.evaluation.folder import Evaluation
from training.evaluation.plan import EvaluationOptions
from training.evaluation.rows import RUNS_FILE
from training.evaluation.splits import OWN, SHARES, SPLIT_KINDS, TRAIN_A_CLASS, WITHHELD
from training.losses import OURS
from training.recipe_names import COMBINED, LANGUAGE_FREE, SHUFFLED, SHUFFLED_BARE, UNSMOOTHED
from training.recipes import RECIPES
from training.teacher.choices import TeacherChoices
from training.terminal import quiet_libraries
from understudy.graph.folder import read_meta
from understudy.progress import terminal_progress

TAUGHT = (UNSMOOTHED, "unlabeled", COMBINED)
FEW = {"epochs": 12, "learning_rate": 1e-5}  # chosen on validation nodes of Cora's first split
TUNED_NODES = 2_000  # training nodes that a transformer is tuned on, at most, of 60%


@dataclass(frozen=True, slots=True)
class Part:
    """A teacher and its recipes."""

    recipes: tuple[str, ...]
    teacher: Mapping[str, Any] = field(default_factory=dict)  # of `TeacherChoices`


FROZEN: Mapping[str, Any] = {"frozen": True, "show_labels": False}
PARTS = {
    "alone": Part(LANGUAGE_FREE),
    "frozen": Part((*TAUGHT, SHUFFLED_BARE, SHUFFLED), FROZEN),
    "objectives": Part(tuple(name for name in OURS if name not in TAUGHT), FROZEN),
    "tuned": Part(TAUGHT),
    "gemma-untuned": Part(TAUGHT, {"teacher": "gemma", "epochs": 0}),
    "gemma": Part(TAUGHT, {"teacher": "gemma"}),
}


def main(
    work: Annotated[Path | None, typer.Argument(help="Folder of runs, kept between calls.")] = None,
    graphs: Annotated[list[Path] | None, typer.Argument(help="Graph folders.")] = None,
    part: Annotated[str, typer.Option(help=f"Of {', '.join(PARTS)}.")] = "alone",
    labels: Annotated[str, typer.Option(help=f"Of {', '.join(SPLIT_KINDS)}.")] = "20-per-class",
    splits: Annotated[int, typer.Option(min=1, help="One where the graph's own is meant.")] = 10,
    seeds: Annotated[int, typer.Option(min=1, help="Initialisations a split.")] = 1,
    students: Annotated[str, typer.Option()] = ",".join(STUDENT_KINDS),
    encoders: Annotated[str, typer.Option()] = ",".join(ENCODER_KINDS),
    recipes: Annotated[str, typer.Option(help="Other ones than the part's.")] = "",
    unseen: Annotated[bool, typer.Option("--unseen", help="A fifth of test, inductively.")] = False,
    bf16: Annotated[bool, typer.Option("--bf16", help="MiniLM teaches in bfloat16.")] = False,
    processes: Annotated[int, typer.Option(min=1, help="That share all splits.")] = 1,
    write: Annotated[bool, typer.Option(help="The results; else runs alone.")] = True,
) -> None:
    """Evaluate, and write docs/results.md; without arguments write that alone."""
    if work is not None and not graphs:
        raise typer.BadParameter("name the graph folders to evaluate, behind the folder of runs")
    quiet_libraries()
    place = work or Path()  # which stands before the graphs, if there are any
    parts = parse_names(part, tuple(PARTS), "part")
    kinds = parse_names(labels, SPLIT_KINDS, "kind of split")
    evaluations: list[Evaluation] = []
    for graph, kind, name in product(graphs or [], kinds, parts):
        options = EvaluationOptions(
            splits=1 if kind == OWN else splits,
            seeds=seeds,
            split_kind=kind,
            students=parse_names(students, STUDENT_KINDS, "student"),
            encoders=cast(tuple[EncoderKind, ...], parse_names(encoders, ENCODER_KINDS, "encoder")),
            recipes=parse_names(recipes, RECIPES, "recipe") or PARTS[name].recipes,
            teacher=chosen_teacher(name, kind, read_meta(graph)["nodes"], bf16).options(),
        )
        folder = place / f"{graph.name}-{kind.replace('/', '-')}-{name}"
        if not unseen:
            evaluations.append(Evaluation(graph, folder, options))
            continue
        without, beside = (folder.with_name(folder.name + end) for end in (UNSEEN, SEEN))
        taken_out = replace(options, withheld=WITHHELD)
        evaluations += [
            Evaluation(graph, without, taken_out, AskBundle(graph, kind)),
            Evaluation(graph, beside, options),
        ]
    with terminal_progress() as progress:
        reports = evaluate_all(evaluations, progress, processes)
    if write:
        for report in reports:
            adopt(report, FOLDER / report.parent.name)
        typer.echo(f"written: {write_page()}")


def chosen_teacher(part: str, kind: str, nodes: int, bf16: bool) -> TeacherChoices:
    """A part's teacher for a kind of split of a graph."""
    choices = replace(TeacherChoices(), **PARTS[part].teacher)
    if choices.teacher != "encoder":
        return choices
    if choices.frozen:
        return replace(choices, bf16=bf16)
    many = kind not in (*TRAIN_A_CLASS, OWN)
    most = TUNED_NODES if many and SHARES[0] * nodes > TUNED_NODES else 0
    few: Mapping[str, Any] = {} if many else FEW
    return replace(choices, bf16=bf16, max_train_nodes=most, **few)


def adopt(report: Path, folder: Path) -> None:
    """Puts an evaluation's runs, report and plots beside the results, in place of earlier ones."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in adopted(report):
        shutil.copy(path, folder)


def adopted(report: Path) -> Iterator[Path]:
    yield from (report, report.with_name(RUNS_FILE), *report.parent.glob("*.png"))
