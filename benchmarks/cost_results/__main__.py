"""Runs `python -m benchmarks.cost_results`."""

from benchmarks.common.command import run_script
from benchmarks.cost_results.page import main

if __name__ == "__main__":
    run_script(main)
