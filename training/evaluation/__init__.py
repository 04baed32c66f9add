"""The evaluation protocol: paired seeds, one reading of the test split, controls, a report."""
