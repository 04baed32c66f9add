"""Checks that exported networks compute what was trained."""
