"""Errors of this room.

BundleError
├── BundleMissingError   no bundle at that path
├── BundleFormatError    the manifest is damaged, or of a newer schema
├── BundleDamagedError   a file is missing, truncated, or differs from its digest
├── BundleMemoryError    the memory is too small to open a network
└── ProviderError        the requested execution provider or number of threads is not available
"""


class BundleError(Exception):
    """Root of every expected error of `bundle`."""


class BundleMissingError(BundleError):
    """No bundle at that path."""


class BundleFormatError(BundleError):
    """The manifest is damaged, or of a newer schema."""


class BundleDamagedError(BundleError):
    """A file of the bundle is missing, truncated, or differs from its digest."""


class BundleMemoryError(BundleError):
    """The memory is too small to open a network."""


class ProviderError(BundleError):
    """The requested execution provider or number of threads is not available."""
