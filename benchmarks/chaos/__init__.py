"""Kills services while clients read and write, and checks that no change is lost or repeated."""
