"""`understudy.export`: the export program as a function."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from export.bundle import export_bundle
from export.cluster.places import passes_place
from export.errors import ExportError
from export.options import EncoderPrecision, ExportOptions
from understudy.bundle import Manifest
from understudy.cluster.options import check_cluster
from understudy.extras import needed
from understudy.graph.cached_graph import GraphSource, graph_folder
from understudy.plain_arguments import plain_arguments
from understudy.progress import Progress, silent


@plain_arguments(ExportError)
def export(
    student: Path | str,
    bundle: Path | str,
    *,
    graph: GraphSource | None = None,
    encoder_path: Path | str | None = None,
    name: str | None = None,
    encoder_precision: EncoderPrecision = "auto",
    student_precisions: Sequence[str] = (),
    ray: str = "",
    workers: int = 0,
    progress: Progress = silent,
    force: bool = False,
) -> Manifest:
    """Exports a trained student and its graph as a bundle, verified to equal what was trained.

    Args:
        student: student folder, see `distill`.
        bundle: bundle folder to write.
        graph: the student's graph, in memory or a folder, if it was moved.
        encoder_path: MiniLM's folder, if it is not installed.
        name: model name in answers; None combines the graph's name and the student's kind.
        encoder_precision: of the served text encoder; auto: int8 if it costs no accuracy.
        student_precisions: int8, fp16: precisions in which to also write the student.
        ray, workers: compute activations on a Ray cluster, see `teach`.
        force: replace `bundle` even if it is another kind of folder.

    Raises:
        ExportError: a gate failed, or the graph is not the one that the student was trained on.
        ClusterError: no cluster can be joined, or its workers fail.
        FolderError, GraphError, TrainingError: see `understudy.folders.errors`,
            `understudy.graph.errors` and `training.errors`.
        ImportError: a package of the extra `export` is missing.
    """
    check_cluster(ray, workers)
    options = ExportOptions(
        graph=None if graph is None else graph_folder(graph),
        encoder_path=None if encoder_path is None else Path(encoder_path),
        name=name,
        encoder_precision=encoder_precision,
        student_precisions=tuple(student_precisions),
    )
    own = passes_place(ray, workers) if ray else nullcontext()
    with needed("export"), own as place:  # torch imports its exporter's packages on the first call
        return export_bundle(Path(student), Path(bundle), options, progress, force, place)
