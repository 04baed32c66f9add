"""Errors of this room.

BenchmarkError   a measurement cannot be made here, or what was measured failed
"""


class BenchmarkError(Exception):
    """A measurement cannot be made here, or what was measured failed."""
