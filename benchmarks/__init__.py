"""Benchmarks: they compare alternatives side by side in one run, and record the machine.

Every module or package at this level is a command, `python -m benchmarks.NAME`, which writes
results/NAME.json and its Markdown; docs/concepts/benchmarks.md lists them by subject. Not commands:

    common      timing, machine facts, results on disk, random bundles: what every benchmark uses
    serving     services as processes on their own core, and clients that send requests to them
    results     the committed results
    commands    the benchmarks that `understudy bench` offers a user
    errors      BenchmarkError
"""
