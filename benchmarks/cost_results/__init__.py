"""The part on cost of docs/results.md, from committed results; nothing is measured."""
