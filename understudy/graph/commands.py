"""`understudy data …`: get a graph in, and look at it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from understudy.command_line.common_options import Force
from understudy.command_line.next_step import beside, tell_next
from understudy.command_line.option_groups import with_options
from understudy.command_line.printed_json import printed_json
from understudy.folders import check_output, reserved
from understudy.folders.kinds import GRAPH
from understudy.graph.building.builder import Built, Rules
from understudy.graph.command_options import (
    Delimiter,
    Fractions,
    HasHeader,
    IdField,
    Name,
    Out,
    Seed,
    SplitBy,
    SplitName,
    Splits,
    TextField,
    check_line_options,
    check_split_options,
    optional_field,
    parse_fractions,
    parse_rules,
)
from understudy.graph.describe import describe
from understudy.graph.files import cache_folder
from understudy.graph.folder import load_graph, save_graph
from understudy.graph.names import check_name
from understudy.graph.tables import show_graph, show_import
from understudy.progress import Progress, step, terminal_progress

data = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Build, import and describe text-attributed graphs.",
)


def produce(
    out: Path,
    force: bool,
    name: str,
    make: Callable[[Progress], Built],
    inputs: Iterable[Path] = (),
    keep_name: bool = False,
) -> None:
    """Makes a graph, writes it to `out` and prints a summary.

    Args:
        inputs: files that are read for it, and must not be replaced.
        keep_name: whether the graph keeps its own name if none is given.
    """
    from dataclasses import replace

    check_name(name, "--name")
    name = name.strip()
    check_output(out, GRAPH, inputs, force)
    place = out.resolve().name
    if not (name or keep_name):
        check_name(place, "the graph's name, taken from OUT,", "give another with --name")
    with reserved(out), terminal_progress() as progress:
        built = make(progress)
        own = built.graph.name if keep_name else ""
        graph = replace(built.graph, name=name or own or place)
        with step(progress, "save"):
            save_graph(graph, out)
    show_import(replace(built, graph=graph), out)
    parts = (graph.splits.get(name, ()) for name in ("train", "val"))
    if graph.num_classes > 1 and all(map(len, parts)):  # else nothing learns
        tell_next("teach", out, beside(out, "teacher"))
        tell_next("distill", out, beside(out, "student"), title="or without a teacher")


@data.command("import")
@with_options("rules", parse_rules)
def import_files(
    out: Out,
    nodes: Annotated[
        list[Path],
        typer.Option(help="Node file, or a folder of its parts; may be given several times."),
    ],
    edges: Annotated[
        list[Path] | None,
        typer.Option(
            help="Edge file; may be given several times. By default edges are read from a graph "
            "file, or from a column of neighbours in the node file."
        ),
    ] = None,
    id_field: IdField = "",
    text_field: TextField = None,
    label_field: Annotated[
        str | None, typer.Option(help="Column with the label; none: read no labels.")
    ] = None,
    split_field: Annotated[
        str | None, typer.Option(help="Column with train, val or test; none: read no split.")
    ] = None,
    group_field: Annotated[
        str | None,
        typer.Option(help="Column whose equal values a random split keeps together."),
    ] = None,
    source_field: Annotated[str, typer.Option(help="Column with the edge's source node.")] = "",
    target_field: Annotated[str, typer.Option(help="Column with the edge's target node.")] = "",
    neighbors_field: Annotated[
        str | None,
        typer.Option(
            help="Column of the node file that lists neighbours; none: read none. By default it is "
            "detected if there is no edge file."
        ),
    ] = None,
    delimiter: Delimiter = "",
    header: HasHeader = None,
    splits: Splits = None,
    split_name: SplitName = None,
    split_by: SplitBy = "auto",
    name: Name = "",
    force: Force = False,
    *,
    rules: Rules,
) -> None:
    """Import node and edge files: JSON, CSV, TSV, Parquet, GraphML, GEXF, GML, also packed."""
    from understudy.graph.readers.dialects import parse_delimiter
    from understudy.graph.readers.fields import EdgeFields, NodeFields
    from understudy.graph.readers.files import SplitFile, import_graph
    from understudy.graph.readers.formats import GRAPHS, FileOptions
    from understudy.graph.readers.packed import unpacked_name

    node_fields = NodeFields(
        id_field,
        tuple(text_field or ()),
        optional_field(label_field),
        optional_field(split_field),
        optional_field(group_field),
        optional_field(neighbors_field),
    )
    edge_fields = EdgeFields(source_field, target_field)
    options = FileOptions(parse_delimiter(delimiter), header)
    may_hold_edges = bool(edges) or any(unpacked_name(path).endswith(GRAPHS) for path in nodes)
    ends = source_field + target_field
    check_split_options(splits, split_name, split_by, split_field, may_hold_edges, ends)
    check_line_options([*nodes, *(edges or [])], delimiter, header)
    split = SplitFile(splits, split_name, split_by)

    def make(progress: Progress) -> Built:
        return import_graph(
            nodes, edges or [], node_fields, edge_fields, rules, split, progress, options
        )

    inputs = [*nodes, *(edges or []), *([splits] if splits else [])]
    produce(out, force, name, make, inputs)


@data.command("pyg")
@with_options("rules", parse_rules)
def pyg(
    out: Out,
    file: Annotated[
        Path,
        typer.Argument(
            help="A .pt file with a Data object or a dict of tensors and lists, or an .npz file."
        ),
    ],
    text_key: Annotated[str, typer.Option(help="Attribute with the texts.")] = "",
    label_key: Annotated[
        str, typer.Option(help="Attribute with the labels; none: read no labels.")
    ] = "",
    label_names_key: Annotated[
        str,
        typer.Option(help="Attribute with the class names; none: use the numbers as names."),
    ] = "",
    mask_column: Annotated[
        int,
        typer.Option(
            min=0, help="Column of the masks to use, counted from 0, if they hold several splits."
        ),
    ] = 0,
    name: Name = "",
    force: Force = False,
    *,
    rules: Rules,
) -> None:
    """Import a graph with texts that PyG or torch has saved, without running code in the file."""
    from understudy.graph.readers.pyg import PygKeys, pyg_graph

    keys = PygKeys(text_key, label_names_key, mask_column, label_key)
    produce(out, force, name, lambda progress: pyg_graph(file, keys, rules, progress), [file])


@data.command("ogb")
@with_options("rules", parse_rules)
def ogb(
    out: Out,
    folder: Annotated[Path, typer.Argument(help="Folder that holds raw, split and mapping.")],
    texts: Annotated[
        Path,
        typer.Option(
            help="File of texts: a .tsv of id, title and abstract without a header, or a node file."
        ),
    ],
    id_field: IdField = "",
    text_field: TextField = None,
    split_name: Annotated[
        str, typer.Option(help="Folder in split/ to use, if there are several.")
    ] = "",
    name: Name = "",
    force: Force = False,
    *,
    rules: Rules,
) -> None:
    """Import a folder laid out like a node data set of the Open Graph Benchmark."""
    from understudy.graph.readers.ogb import OgbOptions, ogb_graph

    options = OgbOptions(texts, split_name, id_field, tuple(text_field or ()))
    inputs = [folder, texts]
    produce(out, force, name, lambda progress: ogb_graph(folder, options, rules, progress), inputs)


@data.command("debian")
def debian(
    out: Out,
    nodes_limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Maximum number of nodes; keeps a connected, class-balanced part of the graph.",
        ),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Use the package index that was fetched before.")
    ] = False,
    fractions: Fractions = "0.6,0.2,0.2",
    seed: Seed = 0,
    name: Name = "debian",
    force: Force = False,
) -> None:
    """Build the package graph of Debian or Ubuntu from this machine's own apt index."""
    from understudy.graph.readers.debian import debian_graph

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

    produce(out, force, name, make, [cache_folder() / "apt"])


@data.command("synthetic")
def synthetic(
    out: Out,
    nodes: Annotated[int, typer.Option(min=1, help="Number of nodes.")] = 2000,
    classes: Annotated[int, typer.Option(min=1, help="Number of classes.")] = 8,
    mean_degree: Annotated[
        float, typer.Option(min=0, help="Mean number of neighbours per node.")
    ] = 8.0,
    homophily: Annotated[
        float, typer.Option(min=0, max=1, help="Share of edges that join nodes of the same class.")
    ] = 0.7,
    text_signal: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="How much a text reveals about its node's class, from 0 to 1."
        ),
    ] = 0.5,
    edge_signal: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="How much edges between different classes reveal about them, from 0 to 1.",
        ),
    ] = 0.5,
    degree_spread: Annotated[
        float,
        typer.Option(
            min=0,
            max=3,
            help="Spread of the degrees; 0: all nodes have about the same number of neighbours.",
        ),
    ] = 0.8,
    words: Annotated[int, typer.Option(min=8, help="Mean number of words per text.")] = 16,
    labeled: Annotated[
        float, typer.Option(min=0, max=1, help="Share of nodes that have a label.")
    ] = 1.0,
    seed: Seed = 0,
    name: Name = "synthetic",
    force: Force = False,
) -> None:
    """Draw a graph with dials for what its texts and its edges say."""
    from understudy.graph.readers.synthetic import SyntheticOptions, drawn

    dials = SyntheticOptions(
        nodes,
        classes,
        mean_degree,
        homophily,
        text_signal,
        edge_signal,
        degree_spread,
        words,
        seed,
        labeled,
    )
    produce(out, force, name, lambda progress: drawn(dials, progress))


@data.command("describe")
def describe_graph(
    graph: Annotated[Path, typer.Argument(help="Graph folder to describe.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Print a graph's figures: size, degrees, classes, homophily, texts, splits."""
    figures = describe(load_graph(graph))
    if as_json:
        typer.echo(printed_json(figures))
    else:
        show_graph(figures)
