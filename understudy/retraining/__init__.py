"""Retraining: from a served graph to a graph folder, a new model, and its reload."""
