"""Metrics, logs, traces and health."""
