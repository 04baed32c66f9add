"""Asks a language model behind HTTP for a label, and reads its answer."""
