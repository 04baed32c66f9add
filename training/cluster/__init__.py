"""Teaching and training on many machines, by Ray, which is imported when asked for.

What a stage does is written in the other packages; these say where it is done.
"""
