"""`understudy refresh`: a whole round of retraining in one command, for a person or a timer."""

from pathlib import Path
from typing import Annotated

import typer


def refresh(
    source: Annotated[
        str,
        typer.Argument(metavar="URL|DATA_FOLDER", help="A service, or the folder of its changes."),
    ],
    bundle: Annotated[
        Path, typer.Argument(help="The bundle that is served; a better one takes its place.")
    ],
    work: Annotated[
        Path, typer.Argument(help="A folder for all that is made on the way, of this bundle alone.")
    ],
    student: Annotated[
        Path | None,
        typer.Option(
            help="Of the bundle: whose weights are begun with, where no earlier refresh left it."
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(help="To ask about the graph as it is now, as `teach --teacher` names it."),
    ] = None,
    budget: Annotated[
        int, typer.Option(min=0, help="Questions to it, hard nodes first; 0: no limit.")
    ] = 0,
    teach_options: Annotated[
        str, typer.Option(help="More options of `teach`, in one word: '--frozen --hops 0,1'.")
    ] = "",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="At most; by default those of the student.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="To train on, as of `distill`: auto, cpu, cuda, or cuda:1.")
    ] = "auto",
    encoder_path: Annotated[
        Path | None, typer.Option(help="MiniLM's folder, where it is not installed.")
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0, max=100, help="Points of validation accuracy that the new model may lose."
        ),
    ] = 0.5,
    join_train: Annotated[
        bool, typer.Option(help="Put labelled nodes of no split into train.")
    ] = True,
    unchanged: Annotated[
        bool, typer.Option("--unchanged", help="Go on although nothing of the graph has changed.")
    ] = False,
    reload: Annotated[
        bool,
        typer.Option(
            help="Have the service take the new bundle; else it stays in WORK, nothing replaced."
        ),
    ] = True,
    every_address: Annotated[
        bool,
        typer.Option(
            "--every-address", help="Reload each address of the URL's host: replicas of one name."
        ),
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(
            "--api-key", envvar="UNDERSTUDY_KEY", help="Of a service that wants one: role admin."
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds that a service may be silent.")
    ] = 600.0,
) -> None:
    """Train a new model on the served graph, and serve it if it is not worse.

    Fetches the graph, asks the teacher about it if one is named, trains with the student's weights
    as start, exports, compares both models on the validation nodes of this graph, replaces the
    bundle, and reloads the service. A worse model is refused with exit status 1, and the served
    one stays. After an interruption the same command resumes.
    """
    from understudy.retraining.options import RefreshOptions
    from understudy.retraining.refreshing import Refresh

    options = RefreshOptions(
        source=source,
        bundle=bundle,
        work=work,
        student=student,
        teacher=teacher,
        budget=budget,
        teach_options=teach_options,
        epochs=epochs,
        device=device,
        encoder_path=encoder_path,
        tolerance=tolerance,
        join_train=join_train,
        unchanged=unchanged,
        reload=reload,
        every_address=every_address,
        key=key,
        timeout=timeout,
    )
    Refresh(options, typer.echo).run()
