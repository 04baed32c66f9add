"""Runs `python -m benchmarks.plane`."""

from benchmarks.common.command import run_script
from benchmarks.plane.points import main

if __name__ == "__main__":
    run_script(main)
