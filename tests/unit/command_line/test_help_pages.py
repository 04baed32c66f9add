"""Help is whole on a narrow terminal: a name that is cut cannot be copied."""

import pytest

from documents.reference.commands import all_commands
from understudy.cli import COMMANDS, main

PAGES = ["", *COMMANDS, *(name for name, _ in all_commands() if " " in name)]


@pytest.mark.parametrize("page", PAGES)
def test_help_is_whole_in_80_columns(
    page: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main([*page.split(), "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "..." not in shown.replace("[ARGS]...", "")
    assert "…" not in shown.replace("(redis://…)", "").replace("2, …", "")
    assert "─" not in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_arguments_are_called_as_in_messages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["distill", "graph"])
    assert "Missing argument 'OUT'" in capsys.readouterr().err
