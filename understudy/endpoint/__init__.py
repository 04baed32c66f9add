"""A language model behind HTTP: how it is asked for a label, and how its answer is read."""
