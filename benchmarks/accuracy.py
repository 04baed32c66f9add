"""Distilled against vanilla students by the honest protocol, on several graphs and splits.

    python -m benchmarks.accuracy WORK GRAPH... [--splits 5] [--seeds 2] [--tuned]

Every graph is evaluated at 60/20/20 and at 20 labels a class, as `understudy evaluate` does, with
either text encoder; what WORK holds already is not run again. Writes results/accuracy.json, its
Markdown and the plots, beside what other calls wrote there. On hashed texts, one network is run,
unless more are asked for, and two cores are the reason for 256 contrasted nodes a step where the
default is 1,024.

The teacher is MiniLM asked once about every hop's prompt, with a head fitted to each split. With
--tuned it is tuned for each split instead, and sees neighbours' training labels in its prompts,
which takes hours on two cores; hence one evaluation of both text encoders, named GRAPH-SPLIT-tuned,
of fewer recipes. Few labels are passed over more often, and more slowly, as chosen on the
validation nodes of Cora's first split. Of the 6,000 training nodes of Debian-10k at 60/20/20, a
transformer is tuned on 2,000; heads and smoothing read all of them.
"""

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from benchmarks.accuracy_table import overview
from benchmarks.measure import RESULTS, run_script, write_results
from training.cli.evaluate import parse_names
from training.cli.unread_options import refuse_unread
from training.config import (
    ENCODER_KINDS,
    STUDENT_KINDS,
    ObjectiveOptions,
    StudentKind,
    TrainingConfig,
)
from training.evaluation.evaluate import evaluate
from training.evaluation.plan import SHARES, SPLIT_KINDS, EvaluationOptions
from training.recipes import COMBINED, HARD, RANDOM, VANILLA
from training.recipes import RECIPES as KNOWN_RECIPES
from training.teacher.defaults import DEFAULTS
from training.teacher.encoder import EncoderOptions
from training.teacher.options import TeachOptions
from training.teacher.tuning import TuningOptions
from training.terminal import quiet_libraries
from understudy.graph.folder import read_meta
from understudy.graph.progress import terminal_progress
from understudy.graph.prompts import PromptOptions

RECIPES = (VANILLA, "lingugkd", "unlabeled", COMBINED, RANDOM, HARD)
TUNED_RECIPES = (VANILLA, "unlabeled")
ANCHORS = 256
TUNING = {  # epochs at most, learning rate
    "60/20/20": (DEFAULTS["encoder"].epochs, DEFAULTS["encoder"].learning_rate),
    "20-per-class": (12, 1e-5),
}
TUNED_NODES = 2_000  # training nodes that a transformer is tuned on, at most, of 60%
TUNING_PATIENCE = 4  # of the teacher: a fourth of its epochs
PATIENCE = 15
DEFAULT = EvaluationOptions()
READERS = {
    "hashed_students": ("frozen encoder",),
    "hashed_recipes": ("frozen encoder",),
}


def main(
    context: typer.Context,
    work: Annotated[Path, typer.Argument(help="Folder of runs; kept between calls.")],
    graphs: Annotated[list[Path], typer.Argument(help="Graph folders.")],
    splits: Annotated[int, typer.Option(min=1)] = 5,
    seeds: Annotated[int, typer.Option(min=1)] = 2,
    trials: Annotated[int, typer.Option(min=0, help="Of a search for each recipe.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Of a student, at most.")] = (
        DEFAULT.training.epochs
    ),
    hidden: Annotated[int, typer.Option(min=1, help="Width of students.")] = DEFAULT.hidden,
    tokens: Annotated[int, typer.Option(min=8, help="Of a teacher's description.")] = 160,
    tuned: Annotated[bool, typer.Option("--tuned", help="Tune the teacher's transformer.")] = False,
    bf16: Annotated[bool, typer.Option("--bf16", help="The teacher in bfloat16.")] = False,
    recipes: Annotated[
        str | None, typer.Option(help="With MiniLM's embeddings, or with a tuned teacher.")
    ] = None,
    students: Annotated[
        str, typer.Option(help="Networks with MiniLM's embeddings, or with a tuned teacher.")
    ] = ",".join(DEFAULT.students),
    hashed_students: Annotated[str, typer.Option(help="Networks on hashed texts.")] = "sage",
    hashed_recipes: Annotated[str, typer.Option(help="Theirs.")] = ",".join(RECIPES),
    only: Annotated[
        list[str] | None, typer.Option(help="These evaluations, as cora-60-20-20-minilm.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="That share the splits.")] = 1,
    write: Annotated[bool, typer.Option(help="The results; else runs alone.")] = True,
) -> None:
    """Evaluate, print and write results/accuracy.json."""
    quiet_libraries()
    refuse_unread(context, "encoder" if tuned else "frozen encoder", READERS)
    teacher = TeachOptions(
        prompts=PromptOptions(tokens=tokens, show_labels=tuned),
        encoder=EncoderOptions(max_tokens=tokens, frozen=not tuned, bf16=bf16),
    )
    minilm = EvaluationOptions(
        splits=splits,
        seeds=seeds,
        encoders=("minilm",),
        trials=trials,
        teacher=teacher,
        students=networks(students),
        hidden=hidden,
        recipes=parse_names(
            recipes or ",".join(TUNED_RECIPES if tuned else RECIPES), KNOWN_RECIPES, "recipe"
        ),
        training=TrainingConfig(epochs=epochs, patience=PATIENCE),
        constants=ObjectiveOptions(anchors=ANCHORS),
    )
    hashed = replace(
        minilm,
        encoders=("hashing",),
        students=networks(hashed_students),
        recipes=parse_names(hashed_recipes, KNOWN_RECIPES, "recipe"),
    )
    planned = list(
        evaluations(graphs, {"tuned": replace(minilm, encoders=ENCODER_KINDS)})
        if tuned
        else evaluations(graphs, {"minilm": minilm, "hashing": hashed})
    )
    known = [name for name, _, _ in planned]
    unknown = sorted(set(only or []) - set(known))
    if unknown:
        raise typer.BadParameter(f"--only {unknown[0]}: choose from {', '.join(known)}")
    results: dict[str, Any] = {}
    with terminal_progress() as progress:
        for name, graph, options in planned:
            if only and name not in only:
                continue
            report = evaluate(graph, work / name, options, progress, processes)
            results[name] = json.loads((work / name / "summary.json").read_text())
            if write:
                adopt(report, name)
    if write:
        publish(results)


def networks(names: str) -> tuple[StudentKind, ...]:
    return cast(tuple[StudentKind, ...], parse_names(names, STUDENT_KINDS, "student"))


def evaluations(
    graphs: list[Path], kinds: Mapping[str, EvaluationOptions]
) -> Iterator[tuple[str, Path, EvaluationOptions]]:
    """The name (which begins with the graph folder's), graph and options of each."""
    for graph, split, (kind, options) in product(graphs, SPLIT_KINDS, kinds.items()):
        name = f"{graph.name}-{split.replace('/', '-')}-{kind}"
        nodes = 0 if options.teacher.encoder.frozen else read_meta(graph)["nodes"]
        teacher = replace(options.teacher, tuning=tuning(split, nodes))
        yield name, graph, replace(options, split_kind=split, teacher=teacher)


def tuning(split: str, nodes: int) -> TuningOptions:
    """Of a teacher for a kind of split; a frozen one reads none of it."""
    epochs, rate = TUNING[split]
    patience = math.ceil(epochs / TUNING_PATIENCE)
    many = split == "60/20/20" and SHARES[0] * nodes > TUNED_NODES
    most = TUNED_NODES if many else 0
    return TuningOptions(epochs=epochs, learning_rate=rate, patience=patience, max_train_nodes=most)


def publish(results: dict[str, Any]) -> None:
    """Writes the results beside those of earlier calls, which may have had other settings.

    The machine facts are those of the last call; each evaluation has its own date.
    """
    today = datetime.now(UTC).date().isoformat()
    results = {name: {"date": today, **result} for name, result in results.items()}
    path = RESULTS / "accuracy.json"
    if path.is_file():
        results = json.loads(path.read_text(encoding="utf-8"))["evaluations"] | results
    markdown = "\n".join([overview(results), *map(titled_report, results)])
    write_results("accuracy", {"evaluations": results}, markdown)
    typer.echo(markdown)


def titled_report(name: str) -> str:
    """An evaluation's report under its own name, its plots found from the results' folder."""
    path = RESULTS / "accuracy" / name / "report.md"
    _, _, body = path.read_text(encoding="utf-8").partition("\n")
    return f"# {name}\n{body.replace('](', f'](accuracy/{name}/')}"


def adopt(report: Path, name: str) -> None:
    """Puts an evaluation's report, plots and runs beside the results, in place of earlier ones."""
    folder = RESULTS / "accuracy" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in (report, report.with_name("runs.csv"), *report.parent.glob("*.png")):
        shutil.copy(path, folder)


if __name__ == "__main__":
    run_script(main)
