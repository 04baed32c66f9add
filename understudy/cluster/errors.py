"""Errors of this room.

ClusterError    no cluster can be joined, it is too small, or its workers fail for good
"""


class ClusterError(Exception):
    """Root of every expected error of `cluster`: none can be joined, or its workers fail."""
