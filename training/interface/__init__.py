"""`understudy.teach`, `understudy.distill` and `understudy.evaluate`: the programs as functions.

Each takes a graph as a folder or in memory. A graph in memory is saved to a folder in the cache,
because reproducing results requires files. See docs/guides/python.md.
"""
