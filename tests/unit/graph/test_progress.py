"""Progress on the command line: drawn when there is some, and otherwise not there."""

import pytest

from understudy.graph.progress import terminal_progress


def test_what_is_reported_is_drawn_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal_progress() as progress:
        progress("Computing activations", 0, 3)
        progress("Computing activations", 3, 3)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Computing activations" in shown.err
    assert "3/3" in shown.err


def test_without_a_report_nothing_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal_progress():
        pass
    assert capsys.readouterr() == ("", "")
