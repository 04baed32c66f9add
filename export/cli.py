"""The `export` command."""

from collections.abc import Collection
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from export.cluster.places import passes_place
from export.errors import ExportError
from export.options import EncoderPrecision, ExportOptions, check_same_graph
from training.beginning import REMEDY, no_student
from training.errors import CheckpointError
from training.teacher.named import check_encoder_path
from understudy.bundle import Manifest, open_bundle
from understudy.cluster.options import Ray, Workers, check_cluster
from understudy.command_line.common_options import EncoderPath
from understudy.command_line.given_options import given_options
from understudy.command_line.next_step import tell_next
from understudy.folders import check_output
from understudy.folders.kinds import BUNDLE, REPOSITORY, STUDENT, marked
from understudy.graph.folder import read_meta
from understudy.progress import terminal_progress

if TYPE_CHECKING:
    from export.passes import PassesElsewhere


def export(
    context: typer.Context,
    student: Annotated[
        Path | None, typer.Argument(help="Student folder, see `understudy distill`.")
    ] = None,
    bundle: Annotated[Path | None, typer.Argument(help="Bundle folder to write.")] = None,
    graph: Annotated[
        Path | None, typer.Option(help="The student's graph folder, if it was moved.")
    ] = None,
    encoder_path: EncoderPath = None,
    name: Annotated[str | None, typer.Option(help="Model name in the service's answers.")] = None,
    encoder_precision: Annotated[
        EncoderPrecision,
        typer.Option(
            help="Precision of the served text encoder; auto: int8 if it costs no accuracy."
        ),
    ] = "auto",
    student_precision: Annotated[
        list[str] | None,
        typer.Option(
            help="Also write the student in this precision: int8, or fp16 for CUDA; may be given "
            "several times."
        ),
    ] = None,
    check: Annotated[
        Path | None, typer.Option(help="Verify this bundle again, instead of writing one.")
    ] = None,
    triton: Annotated[
        Path | None,
        typer.Option(
            help="Folder for a Triton model repository of the bundle; for an existing bundle: "
            "export BUNDLE --triton FOLDER."
        ),
    ] = None,
    ray: Ray = "",
    workers: Workers = 0,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Replace an output even if it is a folder of another kind that understudy wrote.",
        ),
    ] = False,
) -> None:
    """Turn a trained student and its graph into a bundle, proven equal to what was trained."""
    check_cluster(ray, workers)
    if check is not None:
        refuse_unread(context, ("check",), "--check reads nothing but its bundle", student)
        report(check)
        return
    if student is None or (bundle is None and triton is None):
        raise typer.BadParameter("give STUDENT and BUNDLE, or --check BUNDLE")
    if bundle is None:
        refuse_unread(context, ("triton", "force"), "no bundle is written, since BUNDLE is missing")
    precisions = tuple(student_precision or ())
    options = ExportOptions(graph, encoder_path, name, encoder_precision, precisions)
    check_paths(student, bundle, triton, options, force)
    if bundle is None:  # only a repository of an existing bundle
        bundle = student
    else:
        with passes_place(ray, workers) if ray else nullcontext() as place:
            Console().print(summary(bundle, written(student, bundle, options, force, place)))
    if triton is not None:
        from export.triton import write_repository

        models = write_repository(bundle, triton, force)
        Console().print(f"{triton}: {', '.join(models)}")
    tell_next("serve", bundle)


def refuse_unread(
    context: typer.Context, read: Collection[str], why: str, student: Path | None = None
) -> None:
    """Refuses options that were given but would have no effect.

    Args:
        read: the parameters that are read.
        student: an argument that is not read.

    Raises:
        ExportError: names it.
    """
    unread = [*([] if student is None else [str(student)]), *given_options(context, read)]
    if unread:
        raise ExportError(f"{why}: leave {', '.join(unread)} out")


def check_paths(
    student: Path, bundle: Path | None, triton: Path | None, options: ExportOptions, force: bool
) -> None:
    """Refuses wrong paths before the slow import of torch.

    Raises:
        BundleError, TrainingError, GraphError, FolderError: for the first invalid path.
    """
    inputs = options.inputs(student)
    if bundle is None:
        open_bundle(student, verify=False)
    else:
        config = marked(student, STUDENT)
        if config is None:
            raise no_student(student)
        try:
            trained_on, kind = str(config["graph_path"]), str(config["encoder"]["kind"])
            named, own_hash = str(config["graph_name"]), str(config["graph_hash"])
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"{student / STUDENT.marker} is damaged: {error!r}; {REMEDY}"
            ) from error
        graph = options.graph_folder(trained_on)
        options.check_encoder(kind)
        if options.encoder_path is not None:
            check_encoder_path(options.encoder_path)
        check_same_graph(named, own_hash, str(read_meta(graph)["content_hash"]))
        check_output(bundle, BUNDLE, [*inputs, graph], force)
        inputs += [graph, bundle]
    if triton is not None:
        check_output(triton, REPOSITORY, inputs, force)


def written(
    student: Path,
    bundle: Path,
    options: ExportOptions,
    force: bool,
    place: "PassesElsewhere | None",
) -> Manifest:
    from training.terminal import load_libraries

    load_libraries("export.bundle")
    from export.bundle import export_bundle

    with terminal_progress() as progress:
        return export_bundle(student, bundle, options, progress, force, place)


def report(folder: Path) -> None:
    from export.checks.bundle import check_bundle

    result = check_bundle(folder)
    table = Table(title=f"{folder}: complete, and equal to the stored values", show_header=False)
    for what, difference in result.differences.items():
        table.add_row(f"difference: {what}", f"{difference:.1e}")
    table.add_row("providers here", ", ".join(result.providers))
    Console().print(table)


def summary(folder: Path, manifest: Manifest) -> Table:
    table = Table(title=f"{folder}: {manifest.name} {manifest.version}", show_header=False)
    size = sum(entry.bytes for entry in manifest.files.values())
    encoder = manifest.encoder
    table.add_row("files", f"{len(manifest.files)}, {size / 1e6:.1f} MB")
    table.add_row("nodes, edges", f"{manifest.graph.nodes:,}, {manifest.graph.edges:,}")
    table.add_row("text encoder", f"{encoder.kind} ({encoder.name}), {encoder.precision}")
    if (teacher := manifest.teacher) is not None:
        measured = f"accuracy {teacher.accuracy:.3f} on {teacher.nodes:,} validation nodes"
        table.add_row("teacher, as served", f"{teacher.model}, hop {teacher.hops}, {measured}")
    if manifest.calibration.deferral is not None:
        table.add_row("route: auto", manifest.calibration.deferral.summary)
    for check, difference in manifest.parity.items():
        table.add_row(f"parity: {check}", f"{difference:.1e}")
    for variant, info in manifest.variants.items():
        change = f"validation accuracy {info.accuracy_change:+.2f} points"
        table.add_row(f"variant: {variant}", f"cosine {info.cosine:.4f}, {change}")
    return table
