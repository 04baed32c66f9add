"""Predictions for a whole file: `understudy predict`, in process or through a service."""
