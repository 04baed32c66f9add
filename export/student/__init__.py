"""A student's networks in the forms that are served."""
