"""The engine in process: changes, answers, start and growth, against the bare work."""
