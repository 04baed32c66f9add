"""Runs `python -m benchmarks.ray_stages`."""

from benchmarks.common.command import run_script
from benchmarks.ray_stages.stages import main

if __name__ == "__main__":
    run_script(main)
