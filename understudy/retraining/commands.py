"""`understudy data …`, including the command that copies a served graph into a folder."""

from pathlib import Path
from typing import Annotated

import typer

from understudy.command_line.common_options import Force
from understudy.command_line.given_options import option_of, was_given
from understudy.graph.building.builder import Built
from understudy.graph.commands import data, produce
from understudy.graph.text_graph import with_used_labels
from understudy.progress import Progress
from understudy.retraining import joining
from understudy.retraining.errors import RefreshError
from understudy.retraining.served import graph_of_folder, graph_of_service, is_service


@data.command("from-service")
def from_service(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="URL|DATA_FOLDER",
            help="Address of a service, or the data folder of its changes.",
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Graph folder to write.")],
    key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            envvar="UNDERSTUDY_KEY",
            help="API key of the service, with role read, if the service requires one.",
        ),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            help="Bundle that a data folder's changes were made to; needed if the folder does not "
            "hold that graph."
        ),
    ] = None,
    log: Annotated[
        str,
        typer.Option(
            envvar="UNDERSTUDY_LOG",
            help="Redis URL (redis://…) of a data folder whose log is in Redis.",
        ),
    ] = "",
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait for data from the service.")
    ] = 120.0,
    name: Annotated[
        str, typer.Option(help="Name of the graph; by default the served graph's.")
    ] = "",
    join_train: Annotated[
        bool,
        typer.Option(
            "--join-train",
            help="Add labelled nodes that are in no split to train, and print their number.",
        ),
    ] = False,
    force: Force = False,
) -> None:
    """Write the served graph, with all changes, to a graph folder for retraining.

    Its lineage and position are kept: a bundle made from it can replace the one that is served
    now. Labels are the given ones; a node that was added later is in no split, unless it joins
    train.
    """
    by_url = is_service(source)
    refuse_unread(context, by_url)

    def make(progress: Progress) -> Built:
        if by_url:
            graph = graph_of_service(source, key, timeout, progress)
        else:
            graph = graph_of_folder(Path(source), bundle, progress, log)
        if join_train:
            joined = joining.join_train(graph)
            typer.echo(joined.summary)
            graph = joined.graph
        # The service keeps labels of its model, and of removed nodes, that no node has.
        used = with_used_labels(graph)
        if gone := joining.labels_gone(graph, used):
            typer.echo(
                f"labels: no node has the label {gone} any more, so it is left out of the graph"
            )
        if untrained := joining.labels_untrained(used):
            typer.echo(f"labels: {untrained}")
        return Built(used, (), random_split=False)

    inputs = [] if by_url else [Path(source), *([bundle] if bundle else [])]
    produce(out, force, name, make, inputs, keep_name=True)


def refuse_unread(context: typer.Context, by_url: bool) -> None:
    """Refuses options of a service given with a data folder, and vice versa.

    Raises:
        RefreshError: names the options.
    """
    others, what = (
        (("bundle", "log"), "a service") if by_url else (("key", "timeout"), "a data folder")
    )
    unread = [option_of(context, name) for name in others if was_given(context, name)]
    if unread:
        raise RefreshError(f"{', '.join(unread)} has no effect with {what}; leave it out")
