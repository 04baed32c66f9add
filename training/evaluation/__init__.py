"""The evaluation protocol: paired seeds, a single reading of the test split, controls, and a
report.
"""
