"""The student behind the APIs of other servers: of language models, and of text classifiers."""
