"""A text encoder in its served form."""
