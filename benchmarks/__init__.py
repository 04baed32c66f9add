"""Measurements: ratios taken side by side in one run, with the machine's facts.

Each module runs as `python -m benchmarks.NAME` and writes results/NAME.json with its Markdown.
"""
