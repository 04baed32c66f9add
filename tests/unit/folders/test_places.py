"""Arguments that name a service, and arguments that name a folder."""

from pathlib import Path

import pytest

from understudy.folders.places import is_address


@pytest.mark.parametrize(
    "word",
    [
        *("http://127.0.0.1:8000", "https://host.example/below", "localhost:8000", "host:80/"),
        *("[::1]:8000", "my-host.example:8000"),
    ],
)
def test_a_service(word: str) -> None:
    assert is_address(word)


@pytest.mark.parametrize("word", ["bundle", "runs/demo", "host", "C:/graphs", "a:b", "."])
def test_no_service(word: str) -> None:
    assert not is_address(word)


def test_what_is_there_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data:8000").mkdir()
    assert not is_address("data:8000")
