"""Errors of the cluster package.

ClusterError    no cluster can be joined, it is too small, or its workers fail permanently
"""


class ClusterError(Exception):
    """Base class of the expected errors of `cluster`: none can be joined, or its workers fail."""
