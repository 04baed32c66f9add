"""The temporary folder of a log, which ends with the service."""

import fcntl
import os
from pathlib import Path

import pytest

from service.workers.scratch import PREFIX, scratch_folder


def test_it_is_private_and_goes_with_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch_folder() as folder:
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "log").write_text("changes")
    assert list(tmp_path.iterdir()) == []


def test_those_of_killed_services_are_removed_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead, alive, foreign = (tmp_path / name for name in (f"{PREFIX}1", f"{PREFIX}2", "other"))
    for folder in (dead, alive, foreign):
        folder.mkdir()
        (folder / "lock").touch()
    held = os.open(alive / "lock", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    with scratch_folder() as folder:
        assert set(tmp_path.iterdir()) == {alive, foreign, folder}
    os.close(held)
