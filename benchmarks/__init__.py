"""Benchmarks: they compare alternatives side by side in one run, and record the machine.

Every module or package at this level is a command, `python -m benchmarks.NAME`, which writes
results/NAME.json and its Markdown; docs/concepts/benchmarks.md lists them by subject. Not commands:

    common      timing, machine facts, results on disk, random bundles: what every benchmark uses
    serving     a service as a process on its own core, what it is asked, the clients that ask
    results     what was measured, committed
    commands    the benchmarks that `understudy bench` offers a user
    errors      BenchmarkError
"""
