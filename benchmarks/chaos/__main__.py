"""Runs `python -m benchmarks.chaos`."""

from benchmarks.chaos.run import main
from benchmarks.common.command import run_script

if __name__ == "__main__":
    run_script(main)
