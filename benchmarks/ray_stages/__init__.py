"""Seconds of teach, distill, export and predict with one and two workers of a local Ray cluster."""
