"""The log's writer: what waits, what is left out, and the line that says so."""

import logging
import mmap
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.telemetry import log_writer
from service.telemetry.log_writer import LogWriter, lines_left_out
from tests.disks import small_file_system

LINE = "a line of the log"
PIPE_BYTES = 65_536  # of Linux


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """Stands in for standard error; its reading end, and its writing end."""
    reading, writing = os.pipe()
    monkeypatch.setattr(log_writer, "DESCRIPTOR", writing)
    yield reading, writing
    for end in (reading, writing):
        os.close(end)


@pytest.fixture
def writer() -> Iterator[LogWriter]:
    handler = LogWriter()
    root = logging.getLogger()
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)


def say(handler: LogWriter, text: str) -> None:
    handler.handle(logging.makeLogRecord({"msg": text, "levelno": logging.INFO}))


def read_until_told(reading: int) -> list[str]:
    read = b""
    while b"were left out" not in read or not read.endswith(b"\n"):
        read += os.read(reading, 65_536)
    return read.decode().splitlines()


def test_lines_are_whole_and_in_order(pipe: tuple[int, int], writer: LogWriter) -> None:
    for number in range(100):
        say(writer, f"{LINE} {number} \u00e9")
    writer.flush()
    read = os.read(pipe[0], PIPE_BYTES).decode()
    assert read == "".join(f"{LINE} {number} \u00e9\n" for number in range(100))


@pytest.mark.timeout(60)
def test_nobody_waits_for_a_reader_that_stands_still(
    pipe: tuple[int, int], writer: LogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, left_out = 100, 2_000
    monkeypatch.setattr(log_writer, "MOST_BYTES", kept * (len(LINE) + 1))
    os.write(pipe[1], b"." * PIPE_BYTES)
    for _ in range(kept + left_out):
        say(writer, LINE)
    assert lines_left_out() == left_out
    assert os.read(pipe[0], PIPE_BYTES) == b"." * PIPE_BYTES
    *read, remark = read_until_told(pipe[0])
    assert read == [LINE] * kept
    assert remark.startswith(f"{left_out:,} lines of the log were left out")
    say(writer, "and on")
    assert os.read(pipe[0], PIPE_BYTES) == b"and on\n"


@pytest.mark.timeout(60)
def test_a_full_disk_loses_lines_and_no_more(
    writer: LogWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr(log_writer, "DESCRIPTOR", full)
    for _ in range(3):
        say(writer, LINE)
    writer.flush()
    os.close(full)
    free = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    monkeypatch.setattr(log_writer, "DESCRIPTOR", free)
    say(writer, "room again")
    writer.flush()
    os.close(free)
    first, remark = (tmp_path / "log").read_text().splitlines()
    assert first == "room again"
    assert remark.startswith("3 lines of the log were left out")


@pytest.mark.timeout(60)
def test_after_half_a_line_the_next_is_whole(
    writer: LogWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_file_system(tmp_path / "disk", megabytes=1) as disk:
        log = os.open(disk / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        monkeypatch.setattr(log_writer, "DESCRIPTOR", log)
        filler = disk / "filler"
        filler.write_bytes(b"." * (shutil.disk_usage(disk).free - mmap.PAGESIZE))
        say(writer, "half " * mmap.PAGESIZE)
        say(writer, "nothing of this one")
        writer.flush()
        filler.unlink()
        say(writer, "room again")
        writer.flush()
        half, whole, remark = (disk / "log").read_text().splitlines()
        os.close(log)
    assert half == ("half " * mmap.PAGESIZE)[: mmap.PAGESIZE]
    assert whole == "room again"
    assert remark.startswith("2 lines of the log were left out")


@pytest.mark.timeout(60)
def test_a_pipe_that_another_process_made_non_blocking_gets_every_line(
    pipe: tuple[int, int], writer: LogWriter
) -> None:
    os.set_blocking(pipe[1], False)
    lines = 2 * PIPE_BYTES // len(LINE)
    for _ in range(lines):
        say(writer, LINE)
    read = b""
    while read.count(b"\n") < lines:
        read += os.read(pipe[0], PIPE_BYTES)
    assert read.decode().splitlines() == [LINE] * lines
    assert writer.left_out == 0


@pytest.mark.timeout(60)
def test_a_forked_child_writes_its_own_lines_only(pipe: tuple[int, int], writer: LogWriter) -> None:
    os.write(pipe[1], b"." * PIPE_BYTES)
    say(writer, "of the parent")  # waits
    child = os.fork()
    if child == 0:
        say(writer, "of the child")
        os._exit(len(writer.lines) - 1 + writer.left_out)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.read(pipe[0], PIPE_BYTES)
    writer.flush()
    assert os.read(pipe[0], PIPE_BYTES) == b"of the parent\n"


@pytest.mark.timeout(60)
def test_the_end_does_not_wait_for_ever_and_not_twice(
    pipe: tuple[int, int], writer: LogWriter
) -> None:
    writer.patience = 0.05
    os.write(pipe[1], b"." * PIPE_BYTES)
    say(writer, LINE)
    writer.flush()
    assert len(writer.lines) == 1
    assert writer.patience == 0
    os.read(pipe[0], PIPE_BYTES)
