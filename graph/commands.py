"""`understudy data …`: get a graph in, and look at it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from graph.builder import MISSING_TEXT, UNSEEN_LABELS, Built, Rules
from graph.describe import describe
from graph.errors import BadInputError
from graph.folder import load_graph, save_graph
from graph.output import check_output
from graph.progress import Progress, terminal_progress
from graph.tables import show_graph, show_import

data = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Build, import and describe text-attributed graphs.",
)

Out = Annotated[Path, typer.Argument(help="The graph folder to write.")]
Force = Annotated[bool, typer.Option("--force", help="Replace OUT even if it is no graph folder.")]
Seed = Annotated[int, typer.Option(help="Of the random split, and of drawing.")]
Fractions = Annotated[
    str, typer.Option(help="Shares of train, val and test, where the split is random.")
]
Name = Annotated[str, typer.Option(help="The graph's name; by default that of OUT.")]
SkipUnknown = Annotated[
    bool, typer.Option("--skip-unknown", help="Drop edges to unknown nodes instead of stopping.")
]
MissingText = Annotated[
    str,
    typer.Option(help="A node without text: fail, skip (leave it out), or id (take its id)."),
]
UnseenLabels = Annotated[
    str,
    typer.Option(help="A label that only val or test has: fail, or drop (remove that label)."),
]
Splits = Annotated[
    Path | None, typer.Option(help="JSON of splits: {name: {train: [ids], val: [], test: []}}.")
]
SplitName = Annotated[str | None, typer.Option(help="Which split of --splits.")]


def parse_fractions(text: str) -> tuple[float, float, float]:
    """Three shares of 1, for example "0.6,0.2,0.2".

    Raises:
        BadInputError: it is something else.
    """
    try:
        train, val, test = (float(part) for part in text.replace("/", ",").split(","))
    except ValueError:
        raise BadInputError(
            f"--fractions must be three numbers such as 0.6,0.2,0.2, not {text!r}"
        ) from None
    if min(val, test) < 0 or train <= 0 or abs(train + val + test - 1) > 1e-6:
        raise BadInputError(f"--fractions must be shares that sum to 1, not {text!r}")
    return train, val, test


def parse_rules(
    skip_unknown: bool, missing_text: str, unseen_labels: str, fractions: str, seed: int
) -> Rules:
    """The rules that the options ask for.

    Raises:
        BadInputError: an option has no such value.
    """
    for option, value, values in (
        ("--missing-text", missing_text, MISSING_TEXT),
        ("--unseen-labels", unseen_labels, UNSEEN_LABELS),
    ):
        if value not in values:
            raise BadInputError(f"{option} must be one of {', '.join(values)}, not {value!r}")
    return Rules(skip_unknown, missing_text, unseen_labels, parse_fractions(fractions), seed)


def produce(out: Path, force: bool, name: str, make: Callable[[Progress], Built]) -> None:
    """Makes a graph, writes it to `out` and prints what came of it."""
    from dataclasses import replace

    check_output(out, force)
    with terminal_progress() as progress:
        built = make(progress)
        graph = replace(built.graph, name=name or out.resolve().name)
        progress("save", 0, 1)
        save_graph(graph, out)
        progress("save", 1, 1)
    show_import(replace(built, graph=graph), out)


@data.command("import")
def import_files(
    out: Out,
    nodes: Annotated[list[Path], typer.Option(help="A node file; may be given several times.")],
    edges: Annotated[list[Path], typer.Option(help="An edge file; may be given several times.")],
    id_field: Annotated[str, typer.Option(help="The column with the node's id.")] = "",
    text_field: Annotated[
        list[str] | None, typer.Option(help="The column with the text; several are joined.")
    ] = None,
    label_field: Annotated[str, typer.Option(help="The column with the label.")] = "",
    split_field: Annotated[str, typer.Option(help="The column with train, val or test.")] = "",
    group_field: Annotated[
        str, typer.Option(help="The column whose equal values a random split keeps together.")
    ] = "",
    source_field: Annotated[str, typer.Option(help="The column with an edge's one end.")] = "",
    target_field: Annotated[str, typer.Option(help="The column with an edge's other end.")] = "",
    splits: Splits = None,
    split_name: SplitName = None,
    skip_unknown: SkipUnknown = False,
    missing_text: MissingText = "fail",
    unseen_labels: UnseenLabels = "fail",
    fractions: Fractions = "0.6,0.2,0.2",
    seed: Seed = 0,
    name: Name = "",
    force: Force = False,
) -> None:
    """Import node and edge files: JSON lines, CSV, TSV or Parquet, each also gzipped."""
    from graph.readers.fields import EdgeFields, NodeFields
    from graph.readers.files import import_graph

    rules = parse_rules(skip_unknown, missing_text, unseen_labels, fractions, seed)
    node_fields = NodeFields(
        id_field, tuple(text_field or ()), label_field, split_field, group_field
    )
    edge_fields = EdgeFields(source_field, target_field)

    def make(progress: Progress) -> Built:
        return import_graph(
            nodes, edges, node_fields, edge_fields, rules, (splits, split_name), progress
        )

    produce(out, force, name, make)


@data.command("debian")
def debian(
    out: Out,
    nodes_limit: Annotated[
        int | None,
        typer.Option(min=1, help="Keep a connected, class-balanced part of at most so many nodes."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Use the index that was fetched before.")
    ] = False,
    fractions: Fractions = "0.6,0.2,0.2",
    seed: Seed = 0,
    name: Name = "debian",
    force: Force = False,
) -> None:
    """Build the package graph of Debian or Ubuntu from this machine's own apt index."""
    from graph.readers.debian import debian_graph

    shares = parse_fractions(fractions)

    def make(progress: Progress) -> Built:
        return debian_graph(
            cache_folder() / "apt",
            limit=nodes_limit,
            seed=seed,
            fractions=shares,
            offline=offline,
            progress=progress,
        )

    produce(out, force, name, make)


def cache_folder() -> Path:
    """Where fetched things are kept: $UNDERSTUDY_CACHE, or .cache/understudy in the home."""
    given = os.environ.get("UNDERSTUDY_CACHE")
    return Path(given).resolve() if given else Path("~/.cache/understudy").expanduser()


@data.command("synthetic")
def synthetic(
    out: Out,
    nodes: Annotated[int, typer.Option(min=1, help="How many nodes.")] = 2000,
    classes: Annotated[int, typer.Option(min=1, help="How many classes.")] = 8,
    mean_degree: Annotated[float, typer.Option(min=0, help="Neighbours per node.")] = 8.0,
    homophily: Annotated[
        float, typer.Option(min=0, max=1, help="Share of edges that join equal classes.")
    ] = 0.7,
    text_signal: Annotated[
        float, typer.Option(min=0, max=1, help="How much a text says about the class.")
    ] = 0.5,
    edge_signal: Annotated[
        float, typer.Option(min=0, max=1, help="How much edges between classes say about them.")
    ] = 0.5,
    degree_spread: Annotated[
        float, typer.Option(min=0, max=3, help="How unequal the degrees are.")
    ] = 0.8,
    words: Annotated[int, typer.Option(min=8, help="Mean words per text.")] = 16,
    seed: Seed = 0,
    name: Name = "synthetic",
    force: Force = False,
) -> None:
    """Draw a graph with dials for what its texts and its edges say."""
    from graph.readers.synthetic import Dials, synthetic_graph

    dials = Dials(
        nodes,
        classes,
        mean_degree,
        homophily,
        text_signal,
        edge_signal,
        degree_spread,
        words,
        seed,
    )
    produce(out, force, name, lambda progress: Built(synthetic_graph(dials, progress), (), True))


@data.command("describe")
def describe_graph(
    graph: Annotated[Path, typer.Argument(help="A graph folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Print a graph's figures: size, degrees, classes, homophily, texts, splits."""
    figures = describe(load_graph(graph))
    if as_json:
        typer.echo(json.dumps(figures, indent=2, ensure_ascii=False))
    else:
        show_graph(figures)
