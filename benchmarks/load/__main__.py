"""Runs `python -m benchmarks.load`."""

from benchmarks.common.command import run_script
from benchmarks.load.command import load

if __name__ == "__main__":
    run_script(load)
