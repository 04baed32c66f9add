"""Retraining: from a graph that is served to a graph folder, a new model, and its reload."""
