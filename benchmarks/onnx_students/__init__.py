"""Exported students, against torch and against the naive export; milliseconds a call."""
