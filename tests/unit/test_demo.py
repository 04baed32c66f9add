"""What the demo prints before its minutes of work."""

from pathlib import Path

import pytest

from understudy.cli import main


@pytest.mark.parametrize(
    ("variable", "place", "problem"),
    [
        ("HOME", "file/below", "a part of the path is a file"),
        ("UNDERSTUDY_CACHE", "file/below", "a part of the path is a file"),
        ("UNDERSTUDY_CACHE", "file", "a file is in the way"),
    ],
)
def test_a_cache_that_cannot_be_written_is_told_before_any_work(
    variable: str,
    place: str,
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("UNDERSTUDY_CACHE", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / place))
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--dataset", "synthetic", "--nodes", "500", "--out", str(tmp_path / "out")])
    assert ended.value.code == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert problem in output.err
    assert "set UNDERSTUDY_CACHE to a writable folder" in output.err
    assert not (tmp_path / "out").exists()
