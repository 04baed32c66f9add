"""A bundle and the folder of its student, as the benchmarks of rivals require them."""

from pathlib import Path

from tests.student_bundles import hub_graph, write_student_bundle
from tests.students import small_student
from training.calibration import Calibration
from training.config import StudentKind, Training, TrainingConfig
from training.encoders.features import hashing_spec
from training.student.checkpoint import CheckpointConfig, save_checkpoint


def bundle_and_student(folder: Path, kind: StudentKind, nodes: int = 60) -> tuple[Path, Path]:
    """A random student's bundle, and its folder."""
    config = small_student(kind)  # the shape of other tests, which export it once for all
    made = write_student_bundle(folder / "bundle", hub_graph(nodes), config)
    checkpoint_config = CheckpointConfig(
        student=config,
        training=TrainingConfig(),
        encoder=hashing_spec(made.hashing),
        graph_path=str(folder),
        graph_name=made.graph.name,
        graph_hash=made.graph.content_hash,
        label_names=made.graph.label_names,
    )
    untrained = Training([], 0, 0.0)
    save_checkpoint(
        folder / "student", checkpoint_config, made.student, untrained, {}, Calibration()
    )
    return folder / "bundle", folder / "student"
