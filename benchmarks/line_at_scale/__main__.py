"""Runs `python -m benchmarks.line_at_scale`."""

from benchmarks.common.command import run_script
from benchmarks.line_at_scale.stages import main

if __name__ == "__main__":
    run_script(main)
