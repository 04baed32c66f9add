"""Options of a cluster are checked alike on the command line and in Python."""

from pathlib import Path

import pytest

from tests.unit.training.samples import small_graph
from training.config import DistillOptions, TrainingConfig
from training.distill import STEPS, FittingElsewhere, fit, placed
from training.memory import BATCH, graph_size
from understudy import distill, teach
from understudy.cli import main
from understudy.cluster.errors import ClusterError
from understudy.cluster.joining import Cluster
from understudy.graph import save_graph
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--workers", "2"], "--workers needs --ray"),
        (["--ray", "local", "--device", "cuda:1"], "each worker gets a GPU of its own"),
    ],
)
def test_what_makes_no_sense_together_is_refused(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = dict(zip((word.removeprefix("--") for word in words[::2]), words[1::2], strict=True))
    arguments = {**said, "workers": int(said.get("workers", 0))}
    with pytest.raises(ClusterError, match=message):
        distill(small_graph(), tmp_path / "student", **arguments)  # type: ignore[arg-type]
    with pytest.raises(SystemExit):
        main(["distill", "nowhere", "out", *words])
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_teacher_that_is_not_asked_on_a_cluster_is_told_from_python_too(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="ray is read by these teachers: causal, encoder"):
        teach(small_graph(), tmp_path / "out", teacher="openai:http://localhost:1#m", ray="local")


def test_workers_never_share_the_whole_graph(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="--batch-size 0 trains on the whole graph"):
        distill(small_graph(), tmp_path / "student", ray="local", batch_size=0)


def test_a_step_grows_with_the_workers_and_an_epoch_keeps_its_steps(tmp_path: Path) -> None:
    options = SyntheticOptions(nodes=60_000, words=12, mean_degree=1)
    save_graph(synthetic_graph(options), tmp_path / "graph")
    most = graph_size(tmp_path / "graph").train // STEPS
    assert most > 2 * BATCH
    reports: list[str] = []

    def seeds(workers: int, options: DistillOptions) -> int:
        place = FittingElsewhere(fit, workers)
        found = placed(tmp_path / "graph", options, lambda _, line: reports.append(line), place)
        assert not found.fitting
        return found.training.batch_size

    left_to_us = DistillOptions(fitting=True)
    assert [seeds(workers, left_to_us) for workers in (1, 2, 64)] == [BATCH, 2 * BATCH, most]
    assert reports[1] == "2,048 nodes per step, shared by 2 workers; see --batch-size"
    assert seeds(64, DistillOptions(training=TrainingConfig(batch_size=96))) == 96


def test_a_gpu_each_is_taken_where_it_may_be_and_demanded_where_it_must() -> None:
    pytest.importorskip("ray")
    from training.cluster.fitting import shared_device

    rich, poor = Cluster(workers=2, gpus=2), Cluster(workers=2, gpus=1)
    assert shared_device(rich, "auto") == shared_device(rich, "cuda") == {"CPU": 1, "GPU": 1}
    assert shared_device(poor, "auto") == shared_device(rich, "cpu") == {"CPU": 1}
    with pytest.raises(ClusterError, match="--device cuda: the cluster has 1 GPUs for 2 workers"):
        shared_device(poor, "cuda")
