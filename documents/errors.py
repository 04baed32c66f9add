"""Errors of this room.

DocumentError    the site cannot be built, or something has no words to be documented with
"""


class DocumentError(Exception):
    """The site cannot be built, or a documented item has no description."""
