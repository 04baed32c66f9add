"""Who may do what."""

from enum import IntEnum


class Role(IntEnum):
    """A higher role may do all that a lower one may."""

    anyone = 0  # without a key
    read = 1
    write = 2
    admin = 3


SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def default_role(method: str) -> Role:
    """Of a path that no operation declares: nobody gets to change anything by an oversight."""
    return Role.read if method in SAFE_METHODS else Role.admin
