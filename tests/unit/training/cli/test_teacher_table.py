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


def printed(test: bool) -> list[str]:
    info = TeacherInfo("encoder", "m", "", "", "", "g", ("a", "b"), (0,), metrics=METRICS)
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
