"""Runs `python -m benchmarks.accuracy`."""

from benchmarks.accuracy.evaluation import main
from benchmarks.common.command import run_script

if __name__ == "__main__":
    run_script(main)
