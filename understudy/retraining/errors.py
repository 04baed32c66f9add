"""Errors of this room.

RefreshError
├── WorseModelError     the new model is worse on validation than the one that is served
└── BundleRefusedError  a service refuses the new bundle
"""


class RefreshError(Exception):
    """Root of every expected error of `retraining`: a model cannot be refreshed."""


class WorseModelError(RefreshError):
    """The new model is worse on validation than the one that is served."""


class BundleRefusedError(RefreshError):
    """A service refuses the new bundle."""
