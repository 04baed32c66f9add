"""Runs `python -m benchmarks.onnx_students`."""

from benchmarks.common.command import run_script
from benchmarks.onnx_students.measurements import main

if __name__ == "__main__":
    run_script(main)
