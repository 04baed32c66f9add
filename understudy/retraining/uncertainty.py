"""How unsure a served model is of each node, for a teacher that is asked about some only."""

from pathlib import Path

import msgspec

from understudy.bundle import open_bundle
from understudy.engine.other_graph import logits_on
from understudy.engine.requests import probabilities
from understudy.graph.files import atomic_file
from understudy.graph.text_graph import TextGraph
from understudy.progress import Progress, silent


def write_doubts(bundle: Path, graph: TextGraph, path: Path, progress: Progress = silent) -> None:
    """Writes how unsure a bundle is of every node of a graph, for `teach --budget-hard`.

    The value is 1 minus the calibrated score of the predicted label.

    Raises:
        BundleError, BundleForeignError, InferenceError: see `logits_on`.
        OSError: the file cannot be written.
    """
    _, logits = logits_on(bundle, graph, progress)
    calibration = open_bundle(bundle, verify=False).manifest.calibration
    doubts = 1 - probabilities(logits, calibration.temperature).max(axis=1)
    by_id = dict(zip(graph.ids.to_pylist(), doubts.tolist(), strict=True))
    with atomic_file(path) as temporary:
        temporary.write_bytes(msgspec.json.encode(by_id))
