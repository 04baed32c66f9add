"""Writes the section on cost of docs/results.md from committed results; measures nothing."""
