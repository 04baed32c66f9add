"""Serves the student through the APIs of other servers: of language models and text classifiers."""
