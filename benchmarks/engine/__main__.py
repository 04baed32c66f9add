"""Runs `python -m benchmarks.engine`."""

from benchmarks.common.command import run_script
from benchmarks.engine.measurements import main

if __name__ == "__main__":
    run_script(main)
