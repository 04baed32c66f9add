"""Endpoints that answer with the probabilities of options instead of text."""
