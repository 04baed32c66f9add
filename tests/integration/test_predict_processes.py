"""`understudy predict` as a process: pipes, and interruption."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bundles import NODES, TinyBundle
from tests.disks import small_file_system


def test_stdin_and_stdout(tmp_path: Path, tiny_bundle: TinyBundle) -> None:
    command = [sys.executable, "-m", "understudy", "predict", str(tiny_bundle.folder), "-"]
    ended = subprocess.run(
        command, input="id\nnode-1\n", capture_output=True, text=True, check=True
    )
    (row,) = csv.DictReader(io.StringIO(ended.stdout))
    assert (row["id"], row["route"]) == ("node-1", "student")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"id,text\n1,a pump\n2\n", "warning: stdin:3: bad_row: 1 fields where the header has 2"),
        (b"id,text\n1,a pump\n2\n", "the first of this run: stdin:3: bad_row"),
        (b"id,text\n1,a pump\n", "stdin: id=id, text=text"),
        (b"id,text\n1,caf\xe9\n", "error: stdin:2: not UTF-8"),
        (b"name of it,size\n1,2\n", "error: stdin: no column of ids or of texts"),
        (b"", "error: stdin: the file is empty"),
    ],
)
def test_stdin_is_called_so(tiny_bundle: TinyBundle, given: bytes, message: str) -> None:
    """It is kept in a file, which nobody knows and which is gone when its name is read."""
    command = [sys.executable, "-m", "understudy", "predict", str(tiny_bundle.folder), "-"]
    ended = subprocess.run(command, input=given, capture_output=True, check=False)
    words = ended.stderr.decode()
    assert message in words
    assert "/understudy-" not in words


def test_a_signal_leaves_whole_parts(tmp_path: Path, tiny_bundle: TinyBundle) -> None:
    """A real process, ended in the middle: what it left is whole, and the next call goes on."""
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(f'{{"id": "node-{n % NODES}"}}\n' for n in range(200)))
    code = (
        "import os, signal, sys\n"
        "from understudy.cli import main\n"
        "from understudy.predict import output, run\n"
        "from understudy.predict.answering import InProcess\n"
        "InProcess.batch, run.PART_ROWS = 10, 20\n"
        "plain = output.Parts.add\n"
        "def add(self, first, answers):\n"
        "    plain(self, first, answers)\n"
        "    if first == 60: os.kill(os.getpid(), signal.SIGKILL)\n"
        "if sys.argv.pop(1) == 'kill': output.Parts.add = add\n"
        "main()\n"
    )
    words = ["predict", str(tiny_bundle.folder), str(source), str(out)]
    killed = subprocess.run(
        [sys.executable, "-c", code, "kill", *words], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    again = subprocess.run(
        [sys.executable, "-c", code, "live", *words], capture_output=True, text=True, check=True
    )
    assert "80 rows are answered already" in again.stderr
    assert [answer["row"] for answer in map(json.loads, out.read_text().splitlines())] == list(
        range(1, 201)
    )


def test_a_service_is_asked_without_what_runs_bundles() -> None:
    code = "import sys, understudy.predict.commands; print('onnxruntime' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"


def test_a_full_place_for_temporary_files_is_named(tmp_path: Path, tiny_bundle: TinyBundle) -> None:
    """Stdin is copied there; the output's own place has room."""
    with small_file_system(tmp_path / "small", megabytes=1) as small:
        words = [str(tiny_bundle.folder), "-", str(tmp_path / "out.csv"), "--input-format", "csv"]
        ended = subprocess.run(
            [sys.executable, "-m", "understudy", "predict", *words],
            input=b"id\n" + b"node-1\n" * 200_000,
            capture_output=True,
            check=False,
            env={**os.environ, "TMPDIR": str(small)},
        )
        assert ended.returncode == 1
        errors = ended.stderr.decode()
        assert f"error: {small}/understudy-" in errors
        assert "cannot be written: no space is left there; set TMPDIR to a writable" in errors
        assert list(small.iterdir()) == []
