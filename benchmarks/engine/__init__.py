"""Measures the engine in process: changes, answers, start, and growth with the graph."""
