"""Interrupted or killed benchmarks leave no server, and print no stack trace."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[3]
SECONDS = 60
# A server that prints where it listens, and who started it, who then waits for ever.
SERVER = "import os, signal; print('http://127.0.0.1:1', flush=True); signal.pause()"
HOLDER = """
import signal, sys
from benchmarks.serving.servers import served
with served(sys.executable, "-c", sys.argv[1]) as server:
    print(server.process.pid, flush=True)
    signal.pause()
"""
# A task at its work nearly all of the time.
LOOP = """
import asyncio
from benchmarks.serving.event_loop import run_to_end
from understudy.cli import tidy_end

async def turns():
    while True:
        sum(range(1_000_000))
        await asyncio.sleep(0)

async def work():
    tasks = [asyncio.create_task(turns())]
    print("begun", flush=True)
    await asyncio.wait(tasks)

with tidy_end():
    try:
        run_to_end(work())
    finally:
        print("ended", flush=True)
"""


def started(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_server_ends_with_the_benchmark_that_is_killed() -> None:
    holder = started(HOLDER, SERVER)
    assert holder.stdout is not None
    server = psutil.Process(int(holder.stdout.readline()))
    holder.kill()
    holder.wait()
    try:
        server.wait(SECONDS)
    finally:
        if server.is_running():
            server.kill()
        holder.communicate()


def test_a_loop_that_is_told_to_end_shows_no_trace() -> None:
    process = started(LOOP)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGTERM)
    said, errors = process.communicate(timeout=SECONDS)
    assert (said, errors) == ("ended\n", "")
    assert process.returncode == 128 + signal.SIGTERM
