"""Accuracy over latency in one picture, from committed results; nothing is measured."""
