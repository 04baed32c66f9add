"""Serves a trained teacher over an OpenAI-compatible endpoint, in a separate process with torch."""
