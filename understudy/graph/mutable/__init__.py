"""A graph that changes while it is read: one writer, and readers that each hold a version."""
