"""What `understudy teach` prints."""

from pathlib import Path

import pytest
from rich.console import Console

from training.cli.teacher_table import show_teacher
from training.teacher.answers.folder import TeacherInfo

METRICS = {
    "val_accuracy_hop0": 0.611,
    "val_accuracy_smoothed": 0.711,
    "val_accuracy_reached": 0.721,
    "test_accuracy_hop0": 0.622,
    "test_accuracy_smoothed": 0.722,
    "test_accuracy_reached": 0.732,
    "val_chance": 0.211,
    "test_chance": 0.222,
    "val_propagation": 0.511,
    "test_propagation": 0.522,
}


BILL = {"questions": 9, "requests": 9, "retries": 0, "unreadable": 0}


def printed(test: bool, **bill: float) -> list[str]:
    metrics = METRICS | bill
    info = TeacherInfo("encoder", "m", "", "", "", "g", ("a", "b"), (0,), metrics=metrics)
    console = Console(width=120, record=True, quiet=False)
    with console.capture() as capture:
        show_teacher(info, Path("teacher"), test, console)
    return capture.get().splitlines()


def test_validation_alone_is_printed_beside_what_is_known_without_a_teacher() -> None:
    lines = printed(test=False)
    text = "\n".join(lines)
    assert "test accuracy" not in text
    assert "0.722" not in text
    (learned,) = [line for line in lines if "students learn from it" in line]
    assert "smoothed" in learned
    assert "0.711" in learned
    (spread,) = [line for line in lines if "labels spread over edges, no teacher" in line]
    assert "0.511" in spread
    (chance,) = [line for line in lines if "the most frequent label alone" in line]
    assert "0.211" in chance


@pytest.mark.parametrize("figure", ["test accuracy", "0.722", "0.522", "0.222"])
def test_test_is_printed_where_it_is_asked_for(figure: str) -> None:
    assert figure in "\n".join(printed(test=True))


def test_tokens_that_a_server_does_not_tell_are_not_said_to_be_none() -> None:
    untold = printed(False, **BILL, input_tokens=0, output_tokens=0, cost=0)[-1]
    assert untold.endswith("tokens: the server does not tell")
    assert "input tokens" not in untold
    told = printed(False, **BILL, input_tokens=70, output_tokens=9, cost=0)[-1]
    assert told.endswith("input tokens: 70; output tokens: 9; cost: 0")
