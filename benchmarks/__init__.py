"""Measurements: ratios taken side by side in one run, with the machine's facts.

Each command runs as `python -m benchmarks.NAME` and writes results/NAME.json with its Markdown;
docs/concepts/benchmarks.md lists them by subject. NAME_*.py are the parts of NAME.py. Shared by
many: `measure` (timing, results), `servers` and `questions` (what is asked of a service),
`open_loop` and `raw_client` (how it is loaded); `peers` holds what is measured beside it.
"""
