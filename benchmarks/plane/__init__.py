"""Draws accuracy over latency from committed results; measures nothing."""
