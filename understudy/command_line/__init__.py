"""Shared by the commands of every room: how options are read, and how output is printed."""
