"""A graph that changes while it is read: one writer, and readers that hold a version of it."""
