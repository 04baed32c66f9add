"""The choices of `distill`, and their refusals before anything is read."""

import inspect
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from training.cli.distill import distill as command
from training.config import DistillChoices, ObjectiveOptions, StudentConfig, TrainingConfig
from training.errors import TrainingError
from training.interface.distill import distill as function

NO_CHOICES = {"context", "graph", "out", "force", "progress", "ray", "workers"}


@pytest.mark.parametrize("program", [command, function])
def test_the_command_and_the_function_offer_the_same_choices(program: Any) -> None:
    offered = {
        {"objective": "objectives"}.get(name, name): entry.default
        for name, entry in inspect.signature(program).parameters.items()
        if name not in NO_CHOICES
    }
    defaults = DistillChoices()
    assert offered.keys() == {entry.name for entry in fields(DistillChoices)}
    for name, value in offered.items():
        said = None if (name, value) == ("batch_size", "auto") else value
        assert (said or None) == (getattr(defaults, name) or None), name


def test_every_choice_reaches_the_program() -> None:
    choices = DistillChoices(
        student="gin", layers=3, hidden=8, dropout=0.1, epochs=7, seed=5, fanout=2, temperature=2.0
    )
    choices = replace(choices, teacher=Path("teacher"))
    options = choices.options()
    assert options.student == StudentConfig("gin", layers=3, hidden=8, dropout=0.1)
    assert options.training == TrainingConfig(epochs=7, seed=5, fanout=2)
    assert options.constants == ObjectiveOptions(temperature=2.0)
    assert DistillChoices(auto_accuracy=0.5).options().auto_accuracy == 0.5


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (DistillChoices(epochs=0), "epochs must be a whole number of at least 1: 0"),
        (DistillChoices(fanout=0), "fanout must be a whole number of at least 1"),
        (DistillChoices(learning_rate=-1.0), "learning_rate must be a number of at least 0"),
        (DistillChoices(weight_decay=float("nan")), "weight_decay must be a number of at least 0"),
        (DistillChoices(batch_size=-1), "batch_size must be a whole number of at least 0"),
        (DistillChoices(temperature=0.0), "temperature must be a number above 0, not 0"),
        (DistillChoices(auto_accuracy=95.0), "auto_accuracy must be from 0 to 1, not 95"),
        (DistillChoices(view="hop1"), "--view needs a teacher; give its folder with --teacher"),
        (DistillChoices(compare=True), "--compare needs a teacher"),
        (
            DistillChoices(teacher=Path("t"), compare=True, objectives={"cross_entropy": 1.0}),
            "compare has no effect, since no objective",
        ),
        (
            DistillChoices(teacher=Path("t"), view="hop1", objectives={"kd": 0.0}),
            "view has no effect, since no objective",
        ),
        (DistillChoices(seed=2**63), "and at most 9223372036854775807: 9223372036854775808"),
        (DistillChoices(temperature=2.0), "temperature applies to a teacher's soft labels"),
        (
            DistillChoices(teacher=Path("t"), temperature=2.0, objectives={"lelp": 1.0, "kd": 0.0}),
            "one of kd, unlabeled, bd",
        ),
        (DistillChoices(encoder="hashing", encoder_path=Path("m")), "not for hashing; leave it"),
        (DistillChoices(fanout=3, batch_size=0), "batch_size 0 trains on the whole graph"),
        (DistillChoices(epochs=2.5), "epochs must be a whole number .*: 2.5"),  # type: ignore[arg-type]
        (DistillChoices(patience=float("nan")), "patience must be a whole"),  # type: ignore[arg-type]
        (DistillChoices(layers=True), "layers must be a whole number of at least 1: True"),
        (DistillChoices(hidden=2**32), "hidden must be a whole .* at most 1048576: 4294967296"),
        (DistillChoices(seed=1.5), "seed must be a whole number"),  # type: ignore[arg-type]
        (DistillChoices(normalization="batch"), "layer or none, not 'batch'"),  # type: ignore[arg-type]
        (DistillChoices(student="gat", hidden=6), r"hidden \(6\) must be a multiple of heads"),
    ],
)
def test_a_choice_out_of_its_range_is_refused(choices: DistillChoices, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        choices.options()
