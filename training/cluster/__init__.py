"""Teaching and training on many machines with Ray, which is imported only on demand.

The stages themselves are in the other packages; this one distributes them.
"""
