"""Builds a graph from a reader's records: faults are repaired and counted, or refused."""
