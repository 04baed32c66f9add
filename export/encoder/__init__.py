"""A text encoder in the form that is served."""
