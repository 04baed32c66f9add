"""`understudy refresh`: a whole round of retraining in one command, for a person or a timer."""

from pathlib import Path
from typing import Annotated

import typer

from understudy.command_line.common_options import EncoderPath


def refresh(
    source: Annotated[
        str,
        typer.Argument(
            metavar="URL|DATA_FOLDER",
            help="Address of a service, or the data folder of its changes.",
        ),
    ],
    bundle: Annotated[
        Path,
        typer.Argument(help="Bundle that is served; it is replaced if the new model is not worse."),
    ],
    work: Annotated[
        Path,
        typer.Argument(help="Working folder for intermediate results; use one for each bundle."),
    ],
    student: Annotated[
        Path | None,
        typer.Option(
            help="Student folder of the served bundle, whose weights training starts from; needed "
            "if no earlier refresh left it in WORK."
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(help="Teacher to ask about the current graph, named as in `teach --teacher`."),
    ] = None,
    budget: Annotated[
        int,
        typer.Option(
            min=0, help="Maximum number of questions to the teacher, hard nodes first; 0: no limit."
        ),
    ] = 0,
    teach_options: Annotated[
        str,
        typer.Option(
            help="Further options of `teach` as one quoted argument, such as '--frozen --hops 0,1'."
        ),
    ] = "",
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Maximum number of training epochs; by default as the student was trained."
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="Device to train on, as in `distill`: auto, cpu, cuda, or cuda:1.")
    ] = "auto",
    encoder_path: EncoderPath = None,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0,
            max=100,
            help="Percentage points of validation accuracy that the new model may lose.",
        ),
    ] = 0.5,
    join_train: Annotated[
        bool, typer.Option(help="Add labelled nodes that are in no split to train.")
    ] = True,
    unchanged: Annotated[
        bool, typer.Option("--unchanged", help="Train even if the graph has not changed.")
    ] = False,
    reload: Annotated[
        bool,
        typer.Option(
            help="Replace the bundle and reload the service; otherwise the new bundle stays in "
            "WORK."
        ),
    ] = True,
    every_address: Annotated[
        bool,
        typer.Option(
            "--every-address",
            help="Reload every address that the URL's host name resolves to, for replicas behind "
            "one name.",
        ),
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            envvar="UNDERSTUDY_KEY",
            help="API key of the service, with role admin, if the service requires one.",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait for data from the service.")
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
