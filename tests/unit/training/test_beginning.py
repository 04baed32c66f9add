"""A student that starts from the weights of an earlier one, possibly for other labels."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.students import random_student, small_student
from training.beginning import like_its_start
from training.config import DistillChoices, DistillOptions, StudentConfig, TrainingConfig
from training.distill import distill
from training.encoders.features import encoder_spec
from training.errors import CheckpointError, TrainingError
from training.student.checkpoint import Checkpoint, CheckpointConfig, load_checkpoint
from training.student.warm_start import begin_with, check_start, doubt_about
from understudy.cli import main
from understudy.graph.folder import save_graph
from understudy.graph.lineage import Lineage
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

CONFIG = CheckpointConfig(
    student=small_student("sage"),
    training=TrainingConfig(),
    encoder=encoder_spec("hashing"),
    graph_path="",
    graph_name="",
    graph_hash="",
    label_names=("a", "b", "c"),
)
STILL = TrainingConfig(epochs=1, learning_rate=0, weight_decay=0)


def test_weights_are_taken_and_of_the_head_those_of_labels_that_both_know() -> None:
    before = Checkpoint(CONFIG, random_student(CONFIG.student), {})
    fresh = random_student(CONFIG.student, classes=3)
    with torch.no_grad():
        for weight in fresh.parameters():
            weight.add_(1)
    head = fresh.head.weight.clone()
    begin_with(fresh, ("c", "new", "a"), before)
    old, new = before.student.state_dict(), fresh.state_dict()
    for name in old.keys() - {"head.weight", "head.bias"}:
        assert torch.equal(new[name], old[name]), name
    assert torch.equal(new["head.weight"][[0, 2]], old["head.weight"][[2, 0]])
    assert torch.equal(new["head.bias"][[0, 2]], old["head.bias"][[2, 0]])
    assert torch.equal(new["head.weight"][1], head[1])


def test_weights_that_mean_something_else_are_refused() -> None:
    before = Checkpoint(CONFIG, random_student(CONFIG.student), {})
    check_start(replace(CONFIG, student=replace(CONFIG.student, dropout=0.1)), before)
    with pytest.raises(CheckpointError, match="another shape"):
        check_start(replace(CONFIG, student=small_student("gcn")), before)
    with pytest.raises(CheckpointError, match="reads texts with the encoder"):
        check_start(replace(CONFIG, encoder=replace(CONFIG.encoder, digest="0")), before)


def test_weights_that_may_know_labels_of_graded_nodes_are_doubted() -> None:
    own = replace(CONFIG, graph_hash="a" * 64, lineage=Lineage("one"))
    before = Checkpoint(own, random_student(CONFIG.student), {})
    assert doubt_about(own, before) is None
    assert doubt_about(replace(own, graph_hash="b" * 64), before) is None  # changed, split kept
    drawn_anew = replace(own, graph_name="again", graph_hash="b" * 64, lineage=Lineage("two"))
    assert "are validation or test nodes here, accuracies" in str(doubt_about(drawn_anew, before))
    old = replace(before, config=replace(own, lineage=None))
    assert doubt_about(replace(own, graph_hash="b" * 64), old) is not None


def test_a_distillation_goes_on_from_a_student(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=60, classes=3))
    save_graph(graph, tmp_path / "graph")
    shape = StudentConfig(kind="gin", layers=1, hidden=8)
    first = DistillOptions(encoder="hashing", student=shape, training=TrainingConfig(epochs=2))
    distill(tmp_path / "graph", tmp_path / "first", first)
    choices = like_its_start(DistillChoices(start=tmp_path / "first", epochs=1))
    options = replace(choices.options(), training=STILL)
    assert (options.encoder, options.student.kind) == ("hashing", "gin")
    distill(tmp_path / "graph", tmp_path / "second", options)
    before, after = (load_checkpoint(tmp_path / name).student for name in ("first", "second"))
    for name, weight in before.state_dict().items():
        assert torch.equal(after.state_dict()[name], weight), name
    assert "accuracies are too high" not in caplog.text
    save_graph(synthetic_graph(SyntheticOptions(nodes=60, classes=3, seed=1)), tmp_path / "other")
    distill(tmp_path / "other", tmp_path / "third", options)
    assert "accuracies are too high" in caplog.text
    with pytest.raises(TrainingError, match=r"--hidden 16: .* has 8; leave --hidden or --from out"):
        like_its_start(DistillChoices(start=tmp_path / "first", hidden=16))
    with pytest.raises(CheckpointError, match="not a student folder"):
        like_its_start(DistillChoices(start=tmp_path / "graph"))
    # What is said is meant, also where it is the default.
    words = ["distill", tmp_path / "graph", tmp_path / "fourth", "--from", tmp_path / "first"]
    for said, has in ((("--student", "sage"), "gin"), (("--encoder", "minilm"), "hashing")):
        with pytest.raises(SystemExit):
            main([*map(str, words), *said])
        printed = " ".join(capsys.readouterr().err.split())
        assert f"{said[0]} {said[1]}: " in printed
        assert f"has {has}; leave {said[0]}" in printed
    assert not (tmp_path / "fourth").exists()
    config = tmp_path / "first" / "config.json"
    value = json.loads(config.read_text())
    config.write_text(json.dumps(value | {"student": value["student"] | {"hidden": "x"}}))
    with pytest.raises(CheckpointError, match=r"first/config\.json is damaged: hidden must"):
        load_checkpoint(tmp_path / "first")
    config.write_text(json.dumps(value | {"encoder": None}))
    with pytest.raises(CheckpointError, match=r"first/config\.json is damaged: "):
        load_checkpoint(tmp_path / "first")
    with pytest.raises(SystemExit):
        main(["export", str(tmp_path / "first"), str(tmp_path / "bundle")])
    assert re.search(r"error: \S*config\.json is damaged: TypeError", capsys.readouterr().err)
    config.write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json is damaged, or is not"):
        like_its_start(DistillChoices(start=tmp_path / "first"))
