"""Processes that need the same file make it once."""

import subprocess
import sys
from pathlib import Path

import pytest

from understudy.folders import OutputUnwritableError, taking_turns

MAKER = """
import sys
from pathlib import Path
from understudy.folders import atomic_folder, taking_turns
place = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
with taking_turns(place):
    if not place.is_dir():
        with atomic_folder(place) as folder:
            (folder / "content").write_text(str(sum(range(300_000))))
        print("made")
"""


def test_processes_that_ask_at_once_make_a_folder_once(tmp_path: Path) -> None:
    place = tmp_path / "models" / "one"
    command = [sys.executable, "-c", MAKER, str(place)]
    makers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for maker in makers:
        assert maker.stdout
        assert maker.stdout.readline() == "ready\n"
    said = []
    for maker in makers:
        assert maker.stdin
        maker.stdin.write("go\n")
        maker.stdin.flush()
    for maker in makers:
        said.append(maker.communicate()[0])
        assert maker.returncode == 0
    assert sorted(said) == ["", "", "", "made\n"]
    assert (place / "content").is_file()


def test_a_turn_ends_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing"), taking_turns(tmp_path / "one"):
        raise ValueError("nothing")
    with taking_turns(tmp_path / "one"):
        assert not (tmp_path / "one").exists()


def test_a_place_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnwritableError), taking_turns(tmp_path / "file" / "deep" / "one"):
        pass
