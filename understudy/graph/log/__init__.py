"""The log of a graph's changes: one order of batches that every process applies alike."""
