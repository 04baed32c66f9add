"""Runs `python -m benchmarks.updates`."""

from benchmarks.common.command import run_script
from benchmarks.updates.rates import main

if __name__ == "__main__":
    run_script(main)
