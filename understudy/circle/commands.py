"""`understudy data …`, with what brings a graph back from where it is served."""

import re
from pathlib import Path
from typing import Annotated

import typer

from understudy.circle.served import graph_of_folder, graph_of_service
from understudy.graph.builder import Built
from understudy.graph.command_options import Force
from understudy.graph.commands import data, produce
from understudy.graph.errors import BadInputError
from understudy.graph.progress import Progress
from understudy.graph.text_graph import with_used_labels

ADDRESS = re.compile(r"[\w.-]+:\d+/?")


@data.command("from-service")
def from_service(
    source: Annotated[
        str,
        typer.Argument(metavar="URL|DATA_FOLDER", help="A service, or the folder of its changes."),
    ],
    out: Annotated[Path, typer.Argument(help="The graph folder to write.")],
    key: Annotated[
        str | None,
        typer.Option(
            "--api-key", envvar="UNDERSTUDY_KEY", help="Of a service that wants one: role read."
        ),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(help="Of a data folder that lacks the graph which its changes begin with."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds that a service may be silent.")
    ] = 120.0,
    name: Annotated[str, typer.Option(help="Of the graph; by default the one that it has.")] = "",
    force: Force = False,
) -> None:
    """Write the graph that is served, with all changes, to train on it anew.

    Its lineage and position go along: a bundle that is made of it can be served in the place of
    the one that is served now. Labels are those that nodes were given; a node that was added later
    is in no split.
    """
    is_service = "://" in source or (
        ADDRESS.fullmatch(source) is not None and not Path(source).exists()
    )
    if not is_service and not Path(source).is_dir():
        raise BadInputError(
            f"{source} is no folder, nor an address such as http://127.0.0.1:8000; name a service "
            "or its data folder"
        )

    def make(progress: Progress) -> Built:
        if is_service:
            graph = graph_of_service(source, key, timeout, progress)
        else:
            graph = graph_of_folder(Path(source), bundle, progress)
        # The service also knows labels that no node has, of its model or of nodes that are gone.
        return Built(with_used_labels(graph), (), random_split=False)

    inputs = [] if is_service else [Path(source), *([bundle] if bundle else [])]
    produce(out, force, name, make, inputs, keep_name=True)
